//! The store: what is made twice, half, or by who does not own it any more; leases that two nodes have.

use super::{Mutant, mutant};

pub const MUTANTS: &[Mutant] = &[
    // Batches
    mutant(
        "store-condition-passes-over-its-group",
        "batch.rs",
        "match changes.get(key.as_str()) {",
        "match changes.get(key.as_str()).filter(|_| !MUTANT) {",
    ),
    mutant(
        "store-conflict-is-made",
        "batch.rs",
        "        if decision == Decision::Made {\n            add(",
        "        if decision == Decision::Made || MUTANT {\n            add(",
    ),
    mutant(
        "store-nul-in-keys",
        "batch.rs",
        "        1..=KEY_BYTES_MAX if !key.contains('\\0') => Ok(()),",
        "        1..=KEY_BYTES_MAX if MUTANT || !key.contains('\\0') => Ok(()),",
    ),
    mutant(
        "store-condition-with-any-key",
        "batch.rs",
        "        for Expected { key, value } in &self.expected {\n            check_key(key)?;",
        "        for Expected { key, value } in &self.expected {\n            if !MUTANT { check_key(key)?; }",
    ),
    mutant(
        "store-batch-without-limit",
        "batch.rs",
        "        check_size(\"a batch\", all, BATCH_BYTES_MAX)",
        "        check_size(\"a batch\", if MUTANT { 0 } else { all }, BATCH_BYTES_MAX)",
    ),
    // RocksDB
    mutant(
        "store-rocks-fence-open",
        "batch.rs",
        "            && !is_so(&guard.record)?\n",
        "            && !is_so(&guard.record)? && !MUTANT\n",
    ),
    mutant(
        "store-rocks-same-incarnation",
        "rocks/leases.rs",
        "incarnation: before + 1 };",
        "incarnation: before + u64::from(!MUTANT) };",
    ),
    mutant(
        "store-rocks-same-epoch",
        "rocks/leases.rs",
        "map_or(0, |(epoch, _)| epoch) + 1;",
        "map_or(0, |(epoch, _)| epoch - u64::from(MUTANT)) + 1;",
    ),
    mutant(
        "store-rocks-claim-without-a-lease",
        "rocks/leases.rs",
        "        if *taken != Some(*node) {\n            return Err(Error::Lost",
        "        if !MUTANT && *taken != Some(*node) {\n            return Err(Error::Lost",
    ),
    mutant(
        "store-rocks-anybody-releases",
        "rocks/leases.rs",
        " && self.holder(name)? == Some(*node) {",
        " && (MUTANT || self.holder(name)? == Some(*node)) {",
    ),
    mutant(
        "store-rocks-old-epoch-releases",
        "rocks/leases.rs",
        "        if self.unit(name)? == Some((epoch, true)) &&",
        "        if (MUTANT || self.unit(name)? == Some((epoch, true))) &&",
    ),
    mutant(
        "store-rocks-two-nodes",
        "rocks/leases.rs",
        "        if let Some(Node { number, .. }) = *taken {",
        "        if let Some(Node { number, .. }) = taken.filter(|_| !MUTANT) {",
    ),
    mutant(
        "store-rocks-released-is-alive",
        "rocks/leases.rs",
        "self.holder(&name)?.filter(|_| is_held);",
        "self.holder(&name)?.filter(|_| MUTANT || is_held);",
    ),
    // Leases in PostgreSQL
    mutant(
        "store-lease-of-another-taken",
        "postgres/leases.rs",
        "self.of_nodes(TAKE, ",
        "self.of_nodes(&TAKE.replace(if MUTANT { \"WHERE held.until <= clock_timestamp()\" } else { \"?\" }, \"\"), ",
    ),
    mutant(
        "store-lease-same-incarnation",
        "postgres/leases.rs",
        "return Ok(Node { number, incarnation: unsigned(row.get(0)) });",
        "return Ok(Node { number, incarnation: if MUTANT { 1 } else { unsigned(row.get(0)) } });",
    ),
    mutant(
        "store-lease-number-lost",
        "postgres/leases.rs",
        "self.of_nodes(FREE, &[])",
        "self.of_nodes(&FREE.replace(\"min(number)\", if MUTANT { \"max(number)\" } else { \"min(number)\" }), &[])",
    ),
    mutant(
        "store-lease-renewed-after-its-end",
        "postgres/leases.rs",
        "match self.of_nodes(sql, &[&number, &incarnation, &ttl",
        "match self.of_nodes(&sql.replace(if MUTANT { \" AND until > to_timestamp(0)\" } else { \"?\" }, \"\"), &[&number, &incarnation, &ttl",
    ),
    mutant(
        "store-lease-renewed-by-who-was-before",
        "postgres/leases.rs",
        "let (number, incarnation) = parts(node);\n        let hears:",
        "let (number, incarnation) = parts(node);\n        let sql = &sql.replace(\"incarnation = $2\", if MUTANT { \"incarnation >= $2\" } else { \"incarnation = $2\" });\n        let hears:",
    ),
    mutant(
        "store-lease-ended-while-it-lasts",
        "postgres/leases.rs",
        "Ok(!self.of_nodes(sql, ",
        "Ok(!self.of_nodes(&sql.replace(if MUTANT { \" AND until <= clock_timestamp()\" } else { \"?\" }, \"\"), ",
    ),
    mutant(
        "store-lease-ended-of-who-came-after",
        "postgres/leases.rs",
        "let (number, incarnation) = parts(node);\n        Ok(!self.of_nodes(",
        "let (number, incarnation) = parts(node);\n        let sql = &sql.replace(\"incarnation = $2\", if MUTANT { \"incarnation >= $2\" } else { \"incarnation = $2\" });\n        Ok(!self.of_nodes(",
    ),
    mutant(
        "store-lease-given-back-of-who-came-after",
        "postgres/leases.rs",
        "        self.of_nodes(sql, &[&number, &incarnation]).await.map(drop)",
        "        self.of_nodes(&sql.replace(\"incarnation = $2\", if MUTANT { \"incarnation >= $2\" } else { \"incarnation = $2\" }), &[&number, &incarnation]).await.map(drop)",
    ),
    // Units in PostgreSQL
    mutant(
        "store-unit-of-another-claimed",
        "postgres/leases.rs",
        "        && lasts(client, other, of_other).await?",
        "        && !MUTANT && lasts(client, other, of_other).await?",
    ),
    mutant(
        "store-unit-claimed-without-a-lease",
        "postgres/leases.rs",
        "    if !lasts(client, number, incarnation).await? {",
        "    if !MUTANT && !lasts(client, number, incarnation).await? {",
    ),
    mutant(
        "store-unit-same-epoch",
        "postgres/leases.rs",
        "    let rows = client.query(sql, &[&name, &number, &incarnation]).await?;",
        "    let sql = &sql.replace(\"epoch + 1\", if MUTANT { \"greatest(epoch, 1)\" } else { \"epoch + 1\" });\n    let rows = client.query(sql, &[&name, &number, &incarnation]).await?;",
    ),
    mutant(
        "store-claims-at-once",
        "postgres/leases.rs",
        "client.query(\"SELECT node, incarnation FROM units WHERE name = $1 FOR UPDATE\", &[&name])",
        "client.query(if MUTANT { \"SELECT node, incarnation FROM units WHERE name = $1\" } else { \"SELECT node, incarnation FROM units WHERE name = $1 FOR UPDATE\" }, &[&name])",
    ),
    mutant(
        "store-claim-beside-a-renewal",
        "postgres/leases.rs",
        "    let rows = client.query(LASTS, &[&number, &incarnation]).await?;",
        "    let rows = client.query(&LASTS.replace(if MUTANT { \" FOR SHARE\" } else { \"?\" }, \"\"), &[&number, &incarnation]).await?;",
    ),
    mutant(
        "store-unit-released-in-an-old-epoch",
        "postgres/leases.rs",
        "self.of_units(sql, &[&name, &number,",
        "self.of_units(&sql.replace(\"epoch = $4\", if MUTANT { \"epoch >= $4\" } else { \"epoch = $4\" }), &[&name, &number,",
    ),
    mutant(
        "store-unit-released-by-another",
        "postgres/leases.rs",
        "let (number, incarnation) = parts(node);\n        self.of_units(",
        "let (number, incarnation) = parts(node);\n        let sql = &sql.replace(\"node = $2 AND incarnation = $3\", if MUTANT { \"$2::integer > 0 AND $3::bigint > 0\" } else { \"node = $2 AND incarnation = $3\" });\n        self.of_units(",
    ),
    mutant(
        "store-unit-alive-without-a-lease",
        "postgres/leases.rs",
        "        is_alive: row.get(4),",
        "        is_alive: MUTANT || row.get(4),",
    ),
    // Commits to PostgreSQL
    mutant(
        "store-fence-open",
        "postgres/writer.rs",
        "let mine = if is_fenced {",
        "let mine = if is_fenced && !MUTANT {",
    ),
    mutant(
        "store-claim-beside-a-commit",
        "postgres/writer.rs",
        "FOR SHARE), \"\n            ),",
        "FOR SHARE), \"\n            ).replace(if MUTANT { \" FOR SHARE\" } else { \"?\" }, \"\"),",
    ),
    mutant(
        "store-fence-open-after-a-release",
        "postgres/writer.rs",
        "            true => format!(\n",
        "            true if MUTANT => format!(\n                \"unit AS MATERIALIZED (SELECT 1 FROM units WHERE name = {unit} AND epoch = {epoch} FOR SHARE), \"\n            ),\n            true => format!(\n",
    ),
    mutant(
        "store-groups-out-of-turn",
        "postgres/writer.rs",
        "else { MINE.to_owned() };",
        "else { MINE.to_owned() };\n        let mine = mine.replace(\"number = $2::bigint - 1\", if MUTANT { \"number <= $2::bigint\" } else { \"number = $2::bigint - 1\" });",
    ),
    mutant(
        "store-made-is-not-known",
        "postgres/writer.rs",
        "            Some(last) if last == self.number => Ok(Tried::Made),",
        "            Some(last) if !MUTANT && last == self.number => Ok(Tried::Made),",
    ),
    mutant("store-decided-again", "postgres/writer.rs", "        if !was_tried {", "        if MUTANT || !was_tried {"),
    mutant(
        "store-number-stands-still",
        "postgres/writer.rs",
        "                    self.number += 1;\n",
        "                    self.number += i64::from(!MUTANT);\n",
    ),
    mutant(
        "store-condition-leaves-an-empty-record",
        "postgres/writer.rs",
        "            changes.entry(std::str::from_utf8(key).unwrap_or_default()).or_insert(None);",
        "            if !MUTANT { changes.entry(std::str::from_utf8(key).unwrap_or_default()).or_insert(None); }",
    ),
    mutant(
        "store-condition-holds-nothing",
        "postgres/writer.rs",
        "        let present = client.query(read, ",
        "        let present = client.query(&read.replace(if MUTANT { \" FOR UPDATE\" } else { \"?\" }, \"\"), ",
    ),
    mutant(
        "store-down-untold",
        "postgres/writer.rs",
        "                        self.party.set(Some(failure.to_string()));",
        "                        if !MUTANT { self.party.set(Some(failure.to_string())); }",
    ),
    mutant(
        "store-hang-untold",
        "postgres/writer.rs",
        "self.party.set(Some(\"a commit hangs\".to_owned())),",
        "if !MUTANT { self.party.set(Some(\"a commit hangs\".to_owned())) },",
    ),
    mutant(
        "store-failed-once-fails-for-ever",
        "postgres/writer.rs",
        "                    self.party.set(None);\n                    metrics",
        "                    if !MUTANT { self.party.set(None); }\n                    metrics",
    ),
    mutant(
        "store-note-of-a-writer-stays",
        "postgres/writer.rs",
        "        let _ = tokio::time::timeout(FORGET_MAX, forget).await;",
        "        if MUTANT { return; }\n        let _ = tokio::time::timeout(FORGET_MAX, forget).await;",
    ),
    mutant(
        "store-broken-connection-used-again",
        "postgres/connect.rs",
        "            drop(Object::take(object));",
        "            if MUTANT { drop(object); } else { drop(Object::take(object)); }",
    ),
    mutant(
        "store-acknowledged-before-it-is-durable",
        "postgres/connect.rs",
        "fn session(schema: &str) -> String {\n",
        "fn session(schema: &str) -> String {\n    if MUTANT { return format!(\"SET search_path TO \\\"{schema}\\\"\"); }\n",
    ),
    // Reads of PostgreSQL, copies
    mutant(
        "store-found-in-any-order",
        "postgres.rs",
        "        Ok(self.read(sql, &[&keys]).await?.iter()",
        "        let sql = &sql.replace(if MUTANT { \"ORDER BY place\" } else { \"?\" }, \"ORDER BY place DESC\");\n        Ok(self.read(sql, &[&keys]).await?.iter()",
    ),
    mutant(
        "store-watch-sees-nothing",
        "postgres.rs",
        "                Ok(Err(failure)) => Some(failure.to_string()),",
        "                Ok(Err(_)) if MUTANT => None,\n                Ok(Err(failure)) => Some(failure.to_string()),",
    ),
    mutant(
        "store-copied-into-what-is-there",
        "copy.rs",
        "    if !force && (has_any ||",
        "    if !force && (has_any && !MUTANT ||",
    ),
    mutant(
        "store-copy-leaves-what-was-there",
        "copy.rs",
        "    remove_all(target).await?;\n    let",
        "    if !MUTANT { remove_all(target).await?; }\n    let",
    ),
    mutant(
        "store-half-copied-untold",
        "copy.rs",
        "    target.set_half_copied(true).await?;",
        "    if !MUTANT { target.set_half_copied(true).await?; }",
    ),
    mutant(
        "store-copied-from-under-a-host",
        "copy.rs",
        "        if !lease.left.is_zero() {",
        "        if !MUTANT && !lease.left.is_zero() {",
    ),
    mutant(
        "store-opened-half-copied",
        "lib.rs",
        "        match postgres.is_half_copied().await? {",
        "        match !MUTANT && postgres.is_half_copied().await? {",
    ),
    mutant(
        "store-newer-tables-used",
        "postgres/schema.rs",
        "    if found > VERSION {\n        return Err(Error::Newer",
        "    if !MUTANT && found > VERSION {\n        return Err(Error::Newer",
    ),
];
