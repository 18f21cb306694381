//! weir-settlement-upload
