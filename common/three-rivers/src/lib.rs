//! weir-three-rivers
