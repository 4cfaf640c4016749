//! What deletion does, and what cannot stop it.
