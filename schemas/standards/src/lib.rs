//! Standards as data files, the rule engine and the assessment.
