//! What the ServiceAccount may do, and what it must be refused.
