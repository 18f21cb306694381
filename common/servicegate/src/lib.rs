//! weir-servicegate
