//! weir-settlement
