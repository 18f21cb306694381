//! weir-sweeper
