//! What a child says of its contender: one line of JSON on its standard output.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Figures by name. Units are in the names.
pub type Figures = BTreeMap<String, f64>;

/// What became of one measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Answer {
    /// It was made.
    Measured(Measured),
    /// What the contender needs is not there: what to do.
    NotInstalled {
        /// What is missing.
        reason: String,
    },
    /// The measurement cannot be made here, or says nothing of this contender.
    Unsupported {
        /// Why.
        reason: String,
    },
    /// It went wrong.
    Failed {
        /// How.
        reason: String,
    },
}

/// A measurement that was made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Measured {
    /// How the contender was set up, in its own words.
    pub configuration: String,
    /// What was measured.
    pub figures: Figures,
    /// Why a figure is missing.
    pub missing: BTreeMap<String, String>,
    /// What the reader should know.
    pub remarks: Vec<String>,
}

impl Measured {
    /// Sets a figure.
    pub fn set(&mut self, name: &str, value: f64) {
        self.figures.insert(name.to_owned(), value);
    }

    /// Says why a figure is missing.
    pub fn lacks(&mut self, name: &str, reason: impl Into<String>) {
        self.missing.insert(name.to_owned(), reason.into());
    }
}
