//! Errors as the outside sees them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// An error answer: a code that programs can match on, and a message for
/// people in both languages. Holds nothing private. Every error answer of the
/// HTTP API has this body, as does `--json` output of the command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable, dotted, lower case: `login.refused`.
    pub code: Cow<'static, str>,
    /// 给人看的说明.
    pub message_zh: Cow<'static, str>,
    /// The same in English.
    pub message_en: Cow<'static, str>,
    /// What exactly, where it helps: a field, a cell, a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Problem {
    /// A problem without detail.
    #[must_use]
    pub const fn new(code: &'static str, zh: &'static str, en: &'static str) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message_zh: Cow::Borrowed(zh),
            message_en: Cow::Borrowed(en),
            detail: None,
        }
    }

    /// The same problem, saying what exactly.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
