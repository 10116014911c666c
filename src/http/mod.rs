//! ◇ The server side of the API, one file per resource.
