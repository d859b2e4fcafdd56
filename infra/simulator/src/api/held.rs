//! The description that requests are held against, where one is given.

/// One request as it came, with its path below the base URL.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Described<'a> {
    /// Method in capitals.
    pub method: &'a str,
    /// Path below the base URL.
    pub path: &'a str,
    /// Names and values of the query.
    pub query: &'a [(String, String)],
    /// Names, in lower case, and values of the headers.
    pub headers: &'a [(String, String)],
    /// The body.
    pub body: &'a [u8],
}

/// A description of Terra's API that requests are held against. `Description` is the one of Terra's
/// own schemas, behind the feature `description`: a validator of JSON schemas takes long to build.
pub trait Describe: std::fmt::Debug + Send + Sync {
    /// Returns whether the description has such a call.
    fn has(&self, method: &str, path: &str) -> bool;

    /// Lists the faults of a request; none, if it is as described. Values are not repeated.
    fn faults_of_request(&self, request: Described<'_>) -> Vec<String>;
}
