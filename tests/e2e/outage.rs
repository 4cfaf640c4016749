//! Hydra away, the operator killed.
