//! ◇ How a task is started, watched and stopped: container, exec, raw_exec, mock.
