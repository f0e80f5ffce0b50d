//! Tests, on real ledgers in directories of their own.
