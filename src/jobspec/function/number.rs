//! ◆ Functions of numbers.

use super::{Call, Function, Outcome, Problem, any, fixed, number, open};
use crate::jobspec::value::{Number, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("abs", &[number("num")], |call| Ok(Value::Number(call.number(0).abs()))),
    fixed("ceil", &[number("num")], |call| Ok(Value::Number(call.number(0).ceil()))),
    fixed("floor", &[number("num")], |call| Ok(Value::Number(call.number(0).floor()))),
    fixed("log", &[number("num"), number("base")], log),
    open("max", &[], number("numbers"), |call| extreme(call, |next, best| next > best)),
    open("min", &[], number("numbers"), |call| extreme(call, |next, best| next < best)),
    fixed("parseint", &[any("number"), number("base")], parse_int),
    fixed("pow", &[number("num"), number("power")], |call| {
        float(call.number(0).to_f64().powf(call.number(1).to_f64()))
    }),
    fixed("signum", &[number("num")], |call| Ok(Value::Number(call.whole(0)?.signum().into()))),
];

fn float(value: f64) -> Outcome {
    Number::from_f64(value)
        .map(Value::Number)
        .ok_or_else(|| Problem::whole("the result is not a number"))
}

fn log(call: &Call<'_>) -> Outcome {
    float(call.number(0).to_f64().ln() / call.number(1).to_f64().ln())
}

fn extreme(call: &Call<'_>, better: fn(&Number, &Number) -> bool) -> Outcome {
    let mut numbers = call.arguments.iter().filter_map(Value::as_number);
    let Some(mut best) = numbers.next() else {
        return Err(Problem::whole("must pass at least one number"));
    };
    for next in numbers {
        if better(next, best) {
            best = next;
        }
    }
    Ok(Value::Number(best.clone()))
}

fn parse_int(call: &Call<'_>) -> Outcome {
    let Some(text) = call.value(0).as_str() else {
        let kind = call.value(0).kind_name();
        return Err(Problem::Argument(0, format!("first argument must be a string, not {kind}")));
    };
    let base = call.number(1).to_i64().and_then(|base| u32::try_from(base).ok());
    let Some(base) = base.filter(|base| (2..=62).contains(base)) else {
        let why = "base must be a whole number between 2 and 62 inclusive";
        return Err(Problem::Argument(1, why.to_owned()));
    };
    Number::parse_radix(text, base).map(Value::Number).ok_or_else(|| {
        Problem::Argument(0, format!("cannot parse {text:?} as a base {base} integer"))
    })
}
