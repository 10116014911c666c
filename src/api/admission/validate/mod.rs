//! ◆ The rules.
use super::{Errors, Surroundings};
use crate::model::Job;
pub(super) fn job(_job: &Job, _around: &Surroundings, _errors: &mut Errors) {}
