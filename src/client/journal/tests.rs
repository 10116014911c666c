use super::*;
use crate::model::{AllocId, Allocation, Job};

fn row(id: &str) -> AllocRow {
    let alloc = Allocation {
        id: id.into(),
        job: Some(Arc::new(Job { id: "web".to_owned(), ..Job::default() })),
        ..Allocation::default()
    };
    AllocRow { alloc: Arc::new(alloc), ..AllocRow::default() }
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    let (journal, writer, recovered) = Journal::open(&path).unwrap();
    assert!(recovered.allocs.is_empty());
    let (a, b, task) = (row("a"), row("b"), TaskRow::default());
    let id = AllocId::from("a");
    let entries = vec![Entry::Alloc(&a), Entry::Alloc(&b), Entry::Task(&id, "main", &task)];
    journal.commit(entries).await.unwrap();
    let mut later = task.clone();
    later.state.restarts = 3;
    journal.note(vec![Entry::Task(&id, "main", &later)]).unwrap();
    journal.commit(vec![Entry::Forget(&"b".into())]).await.unwrap();
    writer.close();
    assert!(matches!(journal.note(vec![]), Err(JournalError::Closed)));
    let (_, _writer, recovered) = Journal::open(&path).unwrap();
    assert_eq!(recovered.allocs.keys().collect::<Vec<_>>(), [&id]);
    let (found, tasks) = &recovered.allocs[&id];
    assert_eq!((found, &tasks["main"]), (&a, &later));
}

#[tokio::test]
async fn a_note_is_written_when_the_journal_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    let (journal, writer, _) = Journal::open(&path).unwrap();
    journal.note(vec![Entry::Alloc(&row("a"))]).unwrap();
    drop(writer);
    let (_, _writer, recovered) = Journal::open(&path).unwrap();
    assert_eq!(recovered.allocs.len(), 1);
}

#[tokio::test]
async fn forgetting_an_allocation_forgets_its_tasks_also_those_not_written_yet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("client.db");
    let (journal, writer, _) = Journal::open(&path).unwrap();
    let (a, id) = (row("a"), AllocId::from("a"));
    let task = TaskRow::default();
    journal.note(vec![Entry::Alloc(&a), Entry::Task(&id, "main", &task)]).unwrap();
    journal.commit(vec![Entry::Forget(&id)]).await.unwrap();
    writer.close();
    let tasks: i64 = Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM task", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tasks, 0);
}

#[test]
fn a_row_that_cannot_be_read_is_told_and_does_not_stop_the_rest() {
    let mut recovered = Recovered::default();
    recovered.add_alloc("a", "{");
    recovered.add_alloc("b", &serde_json::to_string(&row("other")).unwrap());
    recovered.add_alloc("c", &serde_json::to_string(&row("c")).unwrap());
    assert_eq!(recovered.damaged.len(), 2);
    assert_eq!(recovered.allocs.len(), 1);
}
