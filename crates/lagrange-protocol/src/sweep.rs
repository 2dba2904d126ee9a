//! The classic schedule's parameters on the wire.

use crate::spec::{not_negative, positive, unknown};
use crate::{ConversionError, v1};
use lagrange_core::schedule::classic::{Fit, InitialState, Order, SolverKind, SweepParams};

pub(crate) fn to_wire(sweep: &SweepParams) -> v1::SweepParams {
    v1::SweepParams {
        order: match sweep.order {
            Order::Taylor => v1::Order::Taylor,
            Order::OutputFirst => v1::Order::OutputFirst,
            Order::InputFirst => v1::Order::InputFirst,
        }
        .into(),
        reset_every: sweep.reset_every,
        fit: match sweep.fit {
            Fit::Forward => v1::Fit::Forward,
            Fit::Updated => v1::Fit::Updated,
        }
        .into(),
        initial: match sweep.initial {
            InitialState::Forward => v1::InitialState::Forward,
            InitialState::Random => v1::InitialState::Random,
        }
        .into(),
        solver: match sweep.solver {
            SolverKind::Gram => v1::Solver::Gram,
            SolverKind::Sampled => v1::Solver::Sampled,
            SolverKind::PseudoInverse => v1::Solver::PseudoInverse,
        }
        .into(),
        equations: sweep.equations,
        screen: sweep.screen,
        growth: sweep.growth,
    }
}

pub(crate) fn from_wire(sweep: &v1::SweepParams) -> Result<SweepParams, ConversionError> {
    Ok(SweepParams {
        order: match sweep.order() {
            v1::Order::Taylor => Order::Taylor,
            v1::Order::OutputFirst => Order::OutputFirst,
            v1::Order::InputFirst => Order::InputFirst,
            v1::Order::Unspecified => return Err(unknown("spec.sweep.order", sweep.order)),
        },
        reset_every: sweep.reset_every,
        fit: match sweep.fit() {
            v1::Fit::Forward => Fit::Forward,
            v1::Fit::Updated => Fit::Updated,
            v1::Fit::Unspecified => return Err(unknown("spec.sweep.fit", sweep.fit)),
        },
        initial: match sweep.initial() {
            v1::InitialState::Forward => InitialState::Forward,
            v1::InitialState::Random => InitialState::Random,
            v1::InitialState::Unspecified => {
                return Err(unknown("spec.sweep.initial", sweep.initial));
            }
        },
        solver: match sweep.solver() {
            v1::Solver::Gram => SolverKind::Gram,
            v1::Solver::Sampled => SolverKind::Sampled,
            v1::Solver::PseudoInverse => SolverKind::PseudoInverse,
            v1::Solver::Unspecified => return Err(unknown("spec.sweep.solver", sweep.solver)),
        },
        equations: not_negative("spec.sweep.equations", sweep.equations)?,
        screen: sweep.screen,
        growth: positive("spec.sweep.growth", sweep.growth)?,
    })
}
