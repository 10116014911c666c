//! ◆ HCL text to [`crate::api`] jobs, with file:line:column in every error.
