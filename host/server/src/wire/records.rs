//! Stored records, in the frames of the client protocol.

use scenehost_core::db::Request;
use scenehost_core::storage::{self, Answer, Change, Owner, Readers, Record, Whose, Writers};
use scenehost_core::{GameName, Refusal};
use scenehost_protocol::v1::{self, RecordReaders, req_records::Ask, server_frame::Body};

use super::user_id;

pub fn request(asked: v1::ReqRecords) -> Result<Request, Refusal> {
    let game = GameName::from(asked.game.as_str());
    let whose = match asked.owner.as_str() {
        "" => Whose::Own,
        "game" => Whose::Of(Owner::Game),
        id => Whose::Of(Owner::User(user_id(id)?)),
    };
    let request = match asked.ask {
        Some(Ask::Read(read)) => storage::Request::Read { game, whose, keys: read.keys },
        Some(Ask::List(list)) => storage::Request::List { game, whose, after: list.after },
        Some(Ask::Write(write)) => {
            let changes = write.changes.into_iter().map(|it| change(whose, it)).collect();
            storage::Request::Write { game, changes }
        }
        None => return Err(Refusal::Invalid("req_records needs read, list or write".to_owned())),
    };
    Ok(Request::Storage(request))
}

fn change(whose: Whose, change: v1::RecordChange) -> Change {
    let readers = match change.readers() {
        RecordReaders::Unspecified => None,
        RecordReaders::Owner => Some(Readers::Owner),
        RecordReaders::All => Some(Readers::All),
        RecordReaders::Game => Some(Readers::Game),
    };
    let v1::RecordChange { key, value, if_version, .. } = change;
    Change { whose, key, value: value.map(Into::into), readers, writers: None, if_version }
}

pub fn answer(answer: &Answer) -> Body {
    Body::ResRecords(match answer {
        Answer::Records(records) => {
            v1::ResRecords { records: records.iter().map(record).collect(), ..Default::default() }
        }
        Answer::Keys(keys, more) => v1::ResRecords { keys: keys.clone(), more: *more, ..Default::default() },
        Answer::Written(versions) => v1::ResRecords { versions: versions.clone(), ..Default::default() },
    })
}

fn record((key, record): &(String, Record)) -> v1::StoredRecord {
    let readers = match record.readers {
        Readers::Owner => RecordReaders::Owner,
        Readers::All => RecordReaders::All,
        Readers::Game => RecordReaders::Game,
    };
    v1::StoredRecord {
        key: key.clone(),
        value: record.value.clone().into(),
        version: record.version,
        readers: readers.into(),
        read_only: record.writers == Writers::Game,
        written_ms: record.written.0,
    }
}

pub fn news(news: &storage::News) -> Body {
    Body::SynRecords(v1::SynRecords { game: news.game.to_string(), keys: news.keys.clone() })
}
