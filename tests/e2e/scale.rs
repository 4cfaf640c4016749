//! Many resources at once.
