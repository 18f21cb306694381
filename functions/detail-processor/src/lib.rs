//! weir-detail-processor
