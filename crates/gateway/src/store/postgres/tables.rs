//! Brings the tables up to date, also when several gateways start at once.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, GenericClient};

use crate::store::migrations::MIGRATIONS;

/// Whoever changes the tables holds this lock. Any number will do, as long as it is always the same.
const CHANGES: i64 = 0x006d_796e_6168_0001;

/// How many migrations the database has been through; `None` when it has no tables.
pub(super) async fn version(client: &impl GenericClient) -> Result<Option<usize>, Error> {
    // Not by to_regclass, which may remember that there was none.
    let exists =
        "SELECT 1 FROM pg_tables WHERE tablename = 'schema_version' AND schemaname = ANY (current_schemas(false))";
    if client.query_typed(exists, &[]).await?.is_empty() {
        return Ok(None);
    }
    let query = "SELECT coalesce(max(version), 0)::bigint FROM schema_version";
    let rows = client.query_typed(query, &[]).await?;
    let version: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    Ok(Some(usize::try_from(version).unwrap_or(0)))
}

/// Takes all steps that the database has not been through, or none. `milliseconds`: how long one may take.
pub(super) async fn migrate(client: &mut Client, milliseconds: u128) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    transaction
        .batch_execute(&format!("SET LOCAL statement_timeout = {milliseconds}"))
        .await?;
    transaction
        .query_typed("SELECT pg_advisory_xact_lock($1)", &[(&CHANGES, Type::INT8)])
        .await?;
    // Somebody else may have been quicker.
    let version = version(&transaction).await?.unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(version) {
        transaction.batch_execute(&migration.for_postgres()).await?;
    }
    if version < MIGRATIONS.len() {
        transaction
            .batch_execute(&format!(
                "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL);
                 DELETE FROM schema_version;
                 INSERT INTO schema_version VALUES ({})",
                MIGRATIONS.len()
            ))
            .await?;
    }
    transaction.commit().await
}
