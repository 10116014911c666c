//! The pretended task, which needs neither root nor a shim.

use std::time::Duration;

use serde_json::json;

use super::support::{Box_, within};

#[tokio::test]
async fn it_ends_after_its_time_with_its_code_and_output() {
    let place = Box_::new("mock-end");
    let config = json!({"run_for": "10ms", "exit_code": 3, "stdout_string": "hi\n"});
    let task = place.start("mock_driver", config, place.context()).await;
    assert_eq!(within(task.wait()).await.exit_code, 3);
    assert_eq!(place.log("stdout"), "hi\n");
    assert!(task.signal(15).is_err());
}

#[tokio::test]
async fn it_obeys_signals_and_fails_to_start_when_told() {
    let place = Box_::new("mock-stop");
    let task = place.start("mock_driver", json!({}), place.context()).await;
    assert!(tokio::time::timeout(Duration::from_millis(20), task.wait()).await.is_err());
    task.signal(15).unwrap();
    assert!(within(task.wait()).await.is_successful());
    let task = place.start("mock_driver", json!({"run_for": "1h"}), place.context()).await;
    within(task.kill()).await.unwrap();
    assert_eq!(within(task.wait()).await.signal, 9);
    let refused =
        place.try_start("mock_driver", json!({"start_error": "no"}), place.context()).await;
    assert_eq!(refused.unwrap_err().to_string(), "task web: no");
}
