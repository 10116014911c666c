//! ◇ The node: desired allocations to alloc runners to task runners.
