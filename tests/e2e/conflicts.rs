//! Who holds a client or a Secret keeps it.
