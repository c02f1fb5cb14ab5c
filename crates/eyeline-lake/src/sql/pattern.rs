//! Regular expressions. Those that PostgreSQL and the engine interpret differently are rejected.

use datafusion::common::Result;
use datafusion::logical_expr::{Expr, lit};
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{Ast, GroupKind};

use super::own::refused;

pub(super) const NOT_CONSTANT: &str = "A regular expression has to be a constant here.";

/// The pattern of a match, in which a point matches any letter, also a line break.
pub(super) fn of_match(pattern: Expr) -> Result<Expr> {
    if matches!(&pattern, Expr::Literal(value, _) if value.is_null()) {
        return Ok(pattern);
    }
    let Some(text) = constant(&pattern) else { return refused(NOT_CONSTANT) };
    check(text, false)?;
    Ok(lit(format!("(?s){text}")))
}

pub(super) fn constant(pattern: &Expr) -> Option<&str> {
    match pattern {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// Rejects a pattern that matches the empty text, where one match follows another: PostgreSQL takes an empty match right
/// behind another match, the engine does not.
pub(super) fn check_repeated(pattern: &str) -> Result<()> {
    let matches_nothing = regex_syntax::parse(pattern).is_ok_and(|hir| hir.properties().minimum_len() == Some(0));
    if matches_nothing {
        return refused("This regular expression also matches the empty text: write it with + in place of * or ?.");
    }
    Ok(())
}

/// Rejects ambiguous patterns: of several matches PostgreSQL takes the longest, the engine the first.
pub(super) fn check(pattern: &str, is_found: bool) -> Result<()> {
    let ast = match Parser::new().parse(pattern) {
        Ok(ast) => ast,
        Err(error) => {
            return refused(format!(
                "The regular expression cannot be read: {}. Looking around and back references are not there.",
                error.kind()
            ));
        }
    };
    if pattern.contains("\\b") || pattern.contains("\\B") {
        return refused(r"\b is a backspace to PostgreSQL, and \y is not there: write (^|\W)word(\W|$).");
    }
    if pattern.contains("\\p")
        || pattern.contains("\\P")
        || pattern.contains("&&")
        || pattern.contains("--")
        || pattern.contains("~~")
    {
        return refused(
            r"Unicode classes and operations on sets of letters cannot be used in a regular expression here.",
        );
    }
    if has_odd(&ast, is_found) {
        return refused(
            "This regular expression can match in several ways or sets flags: write it without |, ?? and the like, groups that are repeated, and (?…).",
        );
    }
    Ok(())
}

fn has_odd(ast: &Ast, is_found: bool) -> bool {
    match ast {
        Ast::Flags(_) => true,
        Ast::Repetition(repetition) => {
            let is_simple =
                matches!(*repetition.ast, Ast::Literal(_) | Ast::Dot(_) | Ast::ClassPerl(_) | Ast::ClassBracketed(_));
            (is_found && (!repetition.greedy || !is_simple)) || has_odd(&repetition.ast, is_found)
        }
        Ast::Group(group) => {
            let has_flags = matches!(&group.kind, GroupKind::NonCapturing(flags) if !flags.items.is_empty());
            has_flags || matches!(group.kind, GroupKind::CaptureName { .. }) || has_odd(&group.ast, is_found)
        }
        Ast::Alternation(several) => is_found || several.asts.iter().any(|ast| has_odd(ast, is_found)),
        Ast::Concat(several) => several.asts.iter().any(|ast| has_odd(ast, is_found)),
        _ => false,
    }
}
