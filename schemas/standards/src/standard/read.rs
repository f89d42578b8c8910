//! Reading a standard file with all of its errors, each with its line.

use duxue_document::collections::BTreeSet;
use std::cell::RefCell;
use std::ops::Range;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Limit, Text};
use crate::number::Amount;

/// Something wrong in a standard file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("file {file}, line {line}: {message_en} [{code}] {detail}")]
pub struct StandardError {
    /// Which of the files, counted from 1; 1 is the base.
    pub file: usize,
    /// Line, counted from 1.
    pub line: usize,
    /// Stable code such as `standard.key.unknown`.
    pub code: String,
    /// 给人看的说明.
    pub message_zh: String,
    /// The same in English.
    pub message_en: String,
    /// What exactly.
    pub detail: String,
}

/// The kinds of errors, with their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Syntax,
    UnknownKey,
    MissingKey,
    WrongType,
    BadValue,
    Duplicate,
    UnknownReference,
    Looser,
    NoBase,
}

impl Fault {
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Syntax => ("standard.syntax", "不是有效的 TOML", "not valid TOML"),
            Self::UnknownKey => ("standard.key.unknown", "没有这个键", "there is no such key"),
            Self::MissingKey => ("standard.key.missing", "缺少必需的键", "a required key is missing"),
            Self::WrongType => ("standard.type", "值的类型不对", "the value has the wrong type"),
            Self::BadValue => ("standard.value", "值不在允许范围内", "the value is not allowed here"),
            Self::Duplicate => ("standard.duplicate", "标识重复", "the id is used twice"),
            Self::UnknownReference => {
                ("standard.reference", "引用的标识不存在", "the id referred to does not exist")
            }
            Self::Looser => (
                "standard.overlay.looser",
                "地方标准不得低于国家标准",
                "an overlay may only be stricter than its base",
            ),
            Self::NoBase => (
                "standard.base",
                "第一个文件须为基础标准，其后为其地方标准",
                "the first file must be a base, the rest its overlays",
            ),
        }
    }
}

/// One file being read; collects its errors.
pub(super) struct File<'a> {
    pub number: usize,
    pub text: &'a str,
    errors: RefCell<Vec<StandardError>>,
}

impl<'a> File<'a> {
    pub fn new(number: usize, text: &'a str) -> Self {
        Self { number, text, errors: RefCell::default() }
    }

    pub fn report(&self, at: &Range<usize>, fault: Fault, detail: impl Into<String>) {
        let (code, zh, en) = fault.words();
        let line = self.text.bytes().take(at.start).filter(|b| *b == b'\n').count() + 1;
        self.errors.borrow_mut().push(StandardError {
            file: self.number,
            line,
            code: code.to_owned(),
            message_zh: zh.to_owned(),
            message_en: en.to_owned(),
            detail: detail.into(),
        });
    }

    pub fn into_errors(self) -> Vec<StandardError> {
        self.errors.into_inner()
    }

    /// Parses the text. After a syntax error nothing else is read: what follows
    /// would only be its echo.
    pub fn parse(&self) -> Option<Spanned<DeTable<'a>>> {
        match DeTable::parse(self.text) {
            Ok(table) => Some(table),
            Err(error) => {
                self.report(&error.span().unwrap_or(0..0), Fault::Syntax, error.message());
                None
            }
        }
    }
}

/// A table being read: whatever key is not asked for is an error.
pub(super) struct Table<'f, 'a> {
    pub file: &'f File<'a>,
    pub span: Range<usize>,
    table: &'f DeTable<'a>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'f, 'a> Table<'f, 'a> {
    pub fn new(file: &'f File<'a>, span: Range<usize>, table: &'f DeTable<'a>) -> Self {
        Self { file, span, table, asked: RefCell::default() }
    }

    pub fn report(&self, fault: Fault, detail: impl Into<String>) {
        self.file.report(&self.span, fault, detail);
    }

    /// The place of a key's value, or of the table.
    pub fn span_of(&self, key: &'static str) -> Range<usize> {
        self.table.get(key).map_or_else(|| self.span.clone(), Spanned::span)
    }

    pub fn has(&self, key: &'static str) -> bool {
        self.table.contains_key(key)
    }

    pub fn get(&self, key: &'static str) -> Option<&'f Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key);
        self.table.get(key)
    }

    /// Like [`Table::get`], but its absence is an error.
    pub fn need(&self, key: &'static str) -> Option<&'f Spanned<DeValue<'a>>> {
        let value = self.get(key);
        if value.is_none() {
            self.report(Fault::MissingKey, key);
        }
        value
    }

    pub fn text(&self, key: &'static str) -> Option<String> {
        let value = self.get(key)?;
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.file.report(&value.span(), Fault::WrongType, format!("{key}: text"));
        }
        text.map(str::to_owned)
    }

    pub fn need_text(&self, key: &'static str) -> String {
        if !self.has(key) {
            self.need(key);
            return String::new();
        }
        self.text(key).unwrap_or_default()
    }

    /// `zh` and `en`.
    pub fn names(&self) -> Text {
        Text { zh: self.need_text("zh"), en: self.need_text("en") }
    }

    /// A nested `{ zh, en }`.
    pub fn named(&self, key: &'static str) -> Option<Text> {
        let table = self.table(key)?;
        let names = table.names();
        table.finish();
        Some(names)
    }

    pub fn flag(&self, key: &'static str) -> bool {
        let Some(value) = self.get(key) else { return false };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.file.report(&value.span(), Fault::WrongType, format!("{key}: true or false"));
            false
        })
    }

    /// A whole number from 0 to `max`.
    pub fn whole(&self, key: &'static str, max: u32) -> Option<u32> {
        let value = self.get(key)?;
        let number =
            value.get_ref().as_integer().and_then(|n| n.as_str().parse::<u32>().ok()).filter(|n| *n <= max);
        if number.is_none() {
            self.file.report(&value.span(), Fault::BadValue, format!("{key}: 0 … {max}"));
        }
        number
    }

    /// A decimal, written as text so that no float ever holds it.
    pub fn amount(&self, key: &'static str) -> Option<Amount> {
        self.limit(key).map(|limit| limit.value)
    }

    pub fn limit(&self, key: &'static str) -> Option<Limit> {
        let value = self.get(key)?;
        self.limit_in(key, value)
    }

    pub fn limit_in(&self, what: &str, value: &Spanned<DeValue<'a>>) -> Option<Limit> {
        let limit = value.get_ref().as_str().and_then(parse_limit);
        if limit.is_none() {
            self.file.report(
                &value.span(),
                Fault::BadValue,
                format!("{what}: a decimal in quotes, not below 0"),
            );
        }
        limit
    }

    /// A word that one of our types knows.
    pub fn word<T: DeserializeOwned>(&self, key: &'static str) -> Option<T> {
        let value = self.get(key)?;
        self.word_in(key, value)
    }

    pub fn word_in<T: DeserializeOwned>(&self, what: &str, value: &Spanned<DeValue<'a>>) -> Option<T> {
        let word = value.get_ref().as_str().and_then(parse_word);
        if word.is_none() {
            let found = value.get_ref().as_str().unwrap_or(value.get_ref().type_str());
            self.file.report(&value.span(), Fault::BadValue, format!("{what}: {found}"));
        }
        word
    }

    pub fn words<T: DeserializeOwned>(&self, key: &'static str) -> Vec<T> {
        self.list(key).into_iter().filter_map(|value| self.word_in(key, value)).collect()
    }

    pub fn list(&self, key: &'static str) -> Vec<&'f Spanned<DeValue<'a>>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(values) => values.iter().collect(),
            _ => {
                self.file.report(&value.span(), Fault::WrongType, format!("{key}: a list"));
                Vec::new()
            }
        }
    }

    pub fn table(&self, key: &'static str) -> Option<Table<'f, 'a>> {
        let value = self.get(key)?;
        self.table_in(key, value)
    }

    pub fn table_in(&self, what: &str, value: &'f Spanned<DeValue<'a>>) -> Option<Table<'f, 'a>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.file.report(&value.span(), Fault::WrongType, format!("{what}: a table"));
        }
        table.map(|table| Table::new(self.file, value.span(), table))
    }

    pub fn tables(&self, key: &'static str) -> Vec<Table<'f, 'a>> {
        self.list(key).into_iter().filter_map(|value| self.table_in(key, value)).collect()
    }

    /// Keys that are words, such as kinds of schools, with their values.
    pub fn entries<K: DeserializeOwned>(&self, besides: &[&str]) -> Vec<(K, &'f Spanned<DeValue<'a>>)> {
        let mut entries = Vec::new();
        for (key, value) in self.table {
            let name: &str = key.get_ref();
            if besides.contains(&name) {
                continue;
            }
            match parse_word(name) {
                Some(word) => entries.push((word, value)),
                None => self.file.report(&key.span(), Fault::UnknownKey, name),
            }
        }
        entries
    }

    /// Reports every key that nothing asked for.
    pub fn finish(&self) {
        let asked = self.asked.borrow();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !asked.contains(name) {
                self.file.report(&key.span(), Fault::UnknownKey, name);
            }
        }
    }
}

fn parse_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

fn parse_limit(text: &str) -> Option<Limit> {
    let value: Amount = text.parse().ok()?;
    let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    (value >= Amount::ZERO).then_some(Limit { value, decimals: u32::try_from(decimals).ok()? })
}
