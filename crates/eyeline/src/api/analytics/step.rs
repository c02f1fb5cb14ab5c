//! A type of events in the parameters of a URL: `category/name`, with a backslash before a `/`, `,` or `\` that is part
//! of either.

use eyeline_lake::EventType;

pub(super) const STEP: &str = "a category and a name such as shop/checkout";

pub(super) fn parse_step(text: &str) -> Option<EventType> {
    match &parse(text)?[..] {
        [step] => Some(step.clone()),
        _ => None,
    }
}

/// Steps with commas between them.
pub(super) fn parse_steps(text: &str, count_max: usize) -> Option<Vec<EventType>> {
    parse(text).filter(|steps| steps.len() <= count_max)
}

fn parse(text: &str) -> Option<Vec<EventType>> {
    let mut steps = vec![vec![String::new()]];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let parts = steps.last_mut()?;
        match letter {
            '\\' => parts.last_mut()?.push(letters.next()?),
            '/' => parts.push(String::new()),
            ',' => steps.push(vec![String::new()]),
            letter => parts.last_mut()?.push(letter),
        }
    }
    let step = |parts: Vec<String>| match <[String; 2]>::try_from(parts) {
        Ok([category, name]) if !category.is_empty() && !name.is_empty() => Some(EventType { category, name }),
        _ => None,
    };
    steps.into_iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(category: &str, name: &str) -> EventType {
        EventType { category: category.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn steps_are_categories_and_names() {
        assert_eq!(parse_step("page interaction/pageview"), Some(kind("page interaction", "pageview")));
        let steps = parse_steps("shop/cart,shop/checkout", 2);
        assert_eq!(steps, Some(vec![kind("shop", "cart"), kind("shop", "checkout")]));
    }

    #[test]
    fn a_backslash_takes_a_letter_as_it_is() {
        assert_eq!(parse_step(r"a\/b/c\,d\\"), Some(kind("a/b", r"c,d\")));
    }

    #[test]
    fn anything_else_is_no_step() {
        for text in ["", "shop", "/cart", "shop/", "a/b/c", "a/b,", ",a/b", "a/b\\"] {
            assert_eq!(parse_steps(text, 9), None, "{text:?}");
        }
        assert_eq!(parse_step("a/b,c/d"), None);
        assert_eq!(parse_steps("a/b,c/d", 1), None);
    }
}
