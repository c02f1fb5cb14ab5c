//! The rule for every text that is stored.

/// 1 to `chars_max` characters without U+0000, which PostgreSQL cannot keep. The error is one sentence for the user.
pub fn check_text(text: &str, chars_max: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err("This may not be empty.".to_owned());
    }
    if text.contains('\0') {
        return Err("The character U+0000 cannot be stored.".to_owned());
    }
    // No text has more characters than bytes: most need no counting.
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(format!("At most {chars_max} characters are taken."));
    }
    Ok(())
}
