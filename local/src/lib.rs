//! weir-local
