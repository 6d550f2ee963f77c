//! The tables in PostgreSQL: made once, brought up to date, left alone when they are newer.

use passing_postgres::Server;
use scenehost_store::postgres::{Error as PostgresError, Settings};
use scenehost_store::{Error, ReadOnly, Store};

use crate::place::{commit, put, settings, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_come_at_once_find_tables_that_were_made_once() {
    let settings = settings(Server::shared());
    let missing = ReadOnly::of_postgres(&settings).await.err().expect("who only reads makes nothing");
    assert!(missing.to_string().contains("start the host once"), "{missing}");
    let comers = (0..6).map(|_| {
        let settings = settings.clone();
        tokio::spawn(async move { Store::connect(&settings).await.map(drop) })
    });
    for comer in comers.collect::<Vec<_>>() {
        comer.await.expect("nobody panics").expect("it can be used");
    }
    let count = format!("SELECT count(*), max(version) FROM {}.meta", settings.schema);
    assert_eq!(Server::shared().sql(&count), "1|3");
}

#[tokio::test]
async fn older_tables_become_this_version_s_and_newer_ones_are_refused() {
    let server = Server::shared();
    let settings = settings(server);
    // Before the first step there was nothing but the note.
    let schema = &settings.schema;
    let old = format!(
        "CREATE SCHEMA {schema}; CREATE TABLE {schema}.meta (version integer NOT NULL, \
         half_copied boolean NOT NULL DEFAULT false); INSERT INTO {schema}.meta (version) VALUES (0)"
    );
    server.sql(&old);
    let store = Store::connect(&settings).await.expect("it is brought up to date");
    commit(&store, vec![put("a", "1")]).await.expect("it can be written");
    drop(store);
    let of_version_1 = "ALTER TABLE {}.nodes DROP COLUMN speaks, DROP COLUMN speaks_oldest, DROP COLUMN partitions, DROP COLUMN hears; \
                        UPDATE {}.meta SET version = 1";
    server.sql(&of_version_1.replace("{}", schema));
    let store = Store::connect(&settings).await.expect("it is brought up to date");
    assert!(store.leases().nodes().await.expect("it can be read").is_empty());
    drop(store);

    server.sql(&format!("UPDATE {schema}.meta SET version = 99"));
    let newer = Store::connect(&settings).await.err().expect("nobody knows what is in there");
    let read = ReadOnly::of_postgres(&settings).await.err().expect("nor can it be read");
    for refused in [newer, read] {
        assert!(matches!(refused, Error::Postgres(PostgresError::Newer { found: 99, known: 3, .. })), "{refused}");
    }
    server.sql(&format!("UPDATE {schema}.meta SET version = 3"));
    let store = Store::connect(&settings).await.expect("it is as it was");
    assert_eq!(text(&store, "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_database_that_cannot_be_used_says_why() {
    let server = Server::shared();
    let away = Settings { url: Some("postgres://nobody@127.0.0.1:1/games".to_owned()), ..Settings::default() };
    let refused = Store::connect(&away).await.err().expect("nobody is there").to_string();
    assert!(refused.contains("127.0.0.1, database games") && refused.contains("refused"), "{refused}");
    let no_database = Settings { url: Some(server.url().replace("/postgres", "/nothing")), ..settings(server) };
    let refused = Store::connect(&no_database).await.err().expect("it is not there").to_string();
    assert!(refused.contains("database \"nothing\" does not exist"), "{refused}");
    server.sql("CREATE ROLE guest LOGIN");
    let no_right = Settings { user: Some("guest".to_owned()), ..settings(server) };
    let refused = Store::connect(&no_right).await.err().expect("it may not").to_string();
    assert!(refused.contains("permission denied"), "{refused}");
}

#[tokio::test]
async fn what_is_acknowledged_is_durable_also_where_the_database_is_set_otherwise() {
    let server = Server::shared();
    let settings = settings(server);
    server.sql("CREATE ROLE careless LOGIN SUPERUSER; ALTER ROLE careless SET synchronous_commit TO off");
    let careless = Settings { user: Some("careless".to_owned()), ..settings.clone() };
    let store = Store::connect(&careless).await.expect("it is there");
    server.sql(&format!(
        "CREATE TABLE {0}.seen AS SELECT ''::text AS value WHERE false; \
         CREATE FUNCTION {0}.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         INSERT INTO {0}.seen VALUES (current_setting('synchronous_commit')); RETURN new; END $$; \
         CREATE TRIGGER see AFTER INSERT ON {0}.records FOR EACH ROW EXECUTE FUNCTION {0}.see()",
        settings.schema
    ));
    commit(&store, vec![put("a", "1")]).await.expect("it is up");
    assert_eq!(server.sql(&format!("SELECT value FROM {}.seen", settings.schema)), "on");
}
