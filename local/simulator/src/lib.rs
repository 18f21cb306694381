//! weir-simulator
