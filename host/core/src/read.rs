//! What services ask of the store. Answers come as events of the service that asked.

/// Asks for records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The number of the question; the answer carries it.
    pub job: u64,
    /// The records' keys.
    pub keys: Vec<String>,
}

/// Asks for keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The first key.
    pub from: String,
    /// The first key that is too far.
    pub to: String,
    /// The most keys.
    pub limit: usize,
}

/// Asks for records that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRecords {
    /// The number of the question; the answer carries it.
    pub job: u64,
    /// The first key.
    pub from: String,
    /// The first key that is too far.
    pub to: String,
    /// The most records.
    pub limit: usize,
}

/// The records that were asked for, in the order of their keys; or that the store could not answer.
pub type Scanned = Result<Vec<(String, Vec<u8>)>, ()>;

/// The records that were asked for, in the order of the keys, `None` where there is none; or that the store could
/// not answer.
pub type Loaded = Result<Vec<Option<Vec<u8>>>, ()>;
