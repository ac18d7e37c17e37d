//! The command line.

pub mod keys;
pub mod source;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use clap::{Args, Parser, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::task::JoinSet;

use self::keys::KeysCommand;
use self::source::{Origin, Source};
use crate::app::{App, Process};
use crate::caller::Caller;
use crate::config::document::Document;
use crate::config::env::Env;
use crate::config::problem::Problem;
use crate::config::units::Span;
use crate::config::{self, Loaded};
use crate::explain::{Hypothetical, explain, explain_model as outlook_of, likely_path};
use crate::import::command::ImportCommand;
use crate::ledger::report::{self, Format, LineFormat};
use crate::ledger::{Ledger, unix_milliseconds};
use crate::store::question::{By, Scope};
use crate::{running, serve, telemetry};

/// How long what is left of the requests may take to end.
const LAST: Duration = Duration::from_secs(1);

/// One small, fast gateway between applications and every model provider.
///
/// Applications keep the API that they already speak (OpenAI, Anthropic, Gemini) and are pointed at Mynah; Mynah finds a
/// provider that can answer, passes everything on unchanged where both speak the same, and translates where they do not.
/// Without a command, it serves.
///
/// Without a configuration file, it uses the providers whose keys are in the environment or in .env (OPENAI_API_KEY,
/// GROQ_API_KEY, ...) and the local servers that answer (Ollama, LM Studio, vLLM, ...). The model mynah/echo always
/// answers, offline.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Examples:
  mynah                                   serve on 127.0.0.1:8080 with what the environment offers
  mynah serve --config production.toml    serve what a file says
  mynah check                             list everything that is wrong with mynah.toml
  mynah config show                       what takes effect, and where each value comes from
  mynah explain request.json              what would be sent for a request, and to whom
  mynah explain smart                     where a model leads right now, and who is passed over
  mynah keys create team-a --budget 50/month   a key for somebody, with a limit
  mynah usage --by client --since 30d     what everybody used and what that cost, from the ledger"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (this is what happens without a command)
    Serve,
    /// Check the configuration: report every problem with its place, and exit with 1 if there is one. What is allowed and
    /// probably not meant is a warning
    Check,
    /// Ask the gateway that runs at the configured address whether it serves: exit with 0 if it does, and else with 1, as
    /// containers want to know it. Several presets must all be served
    Health,
    /// Say what would happen to a request (where it would go, what exactly would be sent, what would be lost), or where a
    /// model leads right now
    Explain {
        /// The path that the request would be sent to [default: the one that it looks like]
        #[arg(short, long, value_name = "PATH")]
        path: Option<String>,
        /// The file with the request's JSON body, `-` for standard input, or the name of a model. Of a model, the gateway
        /// that runs at the configured address tells who would be passed over now
        #[arg(default_value = "-", value_name = "REQUEST|MODEL")]
        request: String,
        /// The key with which the running gateway is asked
        #[arg(short, long, env = "MYNAH_API_KEY", hide_env_values = true)]
        key: Option<String>,
    },
    /// What requests came to: tokens and costs out of the ledger, which is kept where the configuration has a table [store]
    Usage {
        /// By what it is added up
        #[arg(long, value_enum, default_value_t)]
        by: By,
        /// How far to look back, such as 24h or 7d
        #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = Span::parse)]
        since: Span,
        #[command(flatten)]
        only: Only,
        /// How it is written
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Look at single requests in the ledger
    #[command(subcommand)]
    Requests(RequestsCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Clients that are not in the file: create one and its key, list them, rotate a key, revoke it. They are kept in the store,
    /// and hold at once, whether the gateway runs or not
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Make a mynah.toml out of the configuration of another gateway
    #[command(subcommand)]
    Import(ImportCommand),
}

/// Which requests are added up.
#[derive(Debug, Args)]
struct Only {
    /// Only those of a client
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Only those that asked for a model, or were answered by it
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Only those that a provider answered
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Only those with a tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

#[derive(Debug, Subcommand)]
enum RequestsCommand {
    /// Print the last requests
    Tail {
        /// How many
        #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20)]
        count: u32,
        /// Go on with those that come
        #[arg(short, long)]
        follow: bool,
        /// How they are written
        #[arg(long, value_enum, default_value_t)]
        format: LineFormat,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the configuration as it takes effect, with the origin of every value and without secrets
    Show,
    /// Print the JSON Schema of mynah.toml, for editors
    Schema,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> ExitCode {
    let done = match &arguments.command {
        None | Some(Command::Serve) => serve_command(&arguments.source),
        Some(Command::Check) => check(&arguments.source),
        Some(Command::Health) => health(&arguments.source),
        Some(Command::Explain { path, request, .. }) if request == "-" || Path::new(request).is_file() => {
            explain_command(&arguments.source, path.as_deref(), Path::new(request))
        }
        Some(Command::Explain { request, key, .. }) => explain_model(&arguments.source, request, key.as_deref()),
        Some(Command::Usage {
            by,
            since,
            only,
            format,
        }) => usage(&arguments.source, *by, &only.scope(*since), *format),
        Some(Command::Requests(RequestsCommand::Tail { count, follow, format })) => {
            tail(&arguments.source, *count, *follow, *format)
        }
        Some(Command::Config(ConfigCommand::Show)) => show(&arguments.source),
        Some(Command::Config(ConfigCommand::Schema)) => schema(),
        Some(Command::Keys(command)) => keys_command(&arguments.source, command),
        Some(Command::Import(command)) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_command(source: &Source) -> anyhow::Result<()> {
    let env = environment()?;
    let origins = source.origins()?;
    let mut gateways = Vec::with_capacity(origins.len());
    for origin in origins {
        let loaded = origin.load(&env).map_err(|problems| report_all(&problems))?;
        gateways.push((origin, loaded));
    }
    distinct(&gateways)?;
    if let Some((_, (_, first))) = gateways.first() {
        telemetry::start(&first.config.log, &env).map_err(anyhow::Error::msg)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut ledgers = Vec::new();
    let served = runtime.block_on(async {
        let mut serving = JoinSet::new();
        for (origin, loaded) in gateways {
            let ledger = loaded.1.config.store.clone().map(Ledger::start).transpose()?;
            ledgers.extend(ledger.clone());
            serving.spawn(serve::run(serve::Start {
                name: origin.name(),
                told: origin.told(),
                read: loaded,
                load: Arc::new(move || origin.load(&Env::read(Path::new("."))?)),
                ledger,
            }));
        }
        // The first that cannot be served ends all of them.
        while let Some(served) = serving.join_next().await {
            served??;
        }
        Ok(())
    });
    // Requests that were cut off end here, and their rows are to be written too.
    runtime.shutdown_timeout(LAST);
    for ledger in ledgers {
        ledger.flush();
    }
    telemetry::flush();
    served
}

/// That no two gateways want the same port.
fn distinct(gateways: &[(Origin, (Document, Loaded))]) -> anyhow::Result<()> {
    let mut taken: Vec<(SocketAddr, String)> = Vec::new();
    for (origin, (_, loaded)) in gateways {
        let listen = loaded.config.server.listen;
        let clash = taken.iter().find(|(other, _)| {
            let overlap = other.ip() == listen.ip() || other.ip().is_unspecified() || listen.ip().is_unspecified();
            listen.port() != 0 && other.port() == listen.port() && overlap
        });
        if let Some((_, other)) = clash {
            anyhow::bail!(
                "{other} and {} both want port {}; choose another for one of them, with `--preset NAME=PORT`",
                origin.name(),
                listen.port()
            );
        }
        taken.push((listen, origin.name()));
    }
    Ok(())
}

fn check(source: &Source) -> anyhow::Result<()> {
    let env = environment()?;
    for origin in source.origins()? {
        let (_, loaded) = origin.load(&env).map_err(|problems| report_all(&problems))?;
        let Loaded {
            config,
            effective,
            advice,
            ..
        } = loaded;
        for advice in advice {
            writeln!(std::io::stderr(), "warning: {advice}")?;
        }
        let (providers, models, clients) = (
            config.providers.len(),
            config.models.len(),
            effective.file.clients.len(),
        );
        writeln!(
            std::io::stdout(),
            "{} is fine. Providers: {providers}, models: {models}, clients: {clients}.",
            origin.name()
        )?;
    }
    Ok(())
}

fn health(source: &Source) -> anyhow::Result<()> {
    let env = environment()?;
    for origin in source.origins()? {
        let (_, loaded) = origin.load(&env).map_err(|problems| report_all(&problems))?;
        let server = loaded.config.server;
        let healthy = running::is_healthy(server.listen, server.tls.is_some());
        healthy.map_err(|reason| anyhow::anyhow!("no gateway serves at {}: {reason}", server.listen))?;
    }
    writeln!(std::io::stdout(), "serving")?;
    Ok(())
}

fn show(source: &Source) -> anyhow::Result<()> {
    let origin = source.origin()?;
    if let Some(text) = origin.preset_text(&environment()?) {
        let text = text.map_err(|problems| report_all(&problems))?;
        let name = origin.name();
        // It may hold keys, where the other proxy's files do: it has to behave the same.
        write!(
            std::io::stdout(),
            "# The {name} as a mynah.toml of its own. Keep it as safe as what it was made from.\n\n{text}"
        )?;
        return Ok(());
    }
    let (document, loaded) = source.load()?;
    write!(
        std::io::stdout(),
        "{}{}",
        config::show::show(&loaded.effective, &document),
        keys::comments(&loaded.config)
    )?;
    Ok(())
}

fn explain_command(source: &Source, path: Option<&str>, request: &Path) -> anyhow::Result<()> {
    let body = if request == Path::new("-") {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(request)
            .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", request.display()))?
    };
    let (_, loaded) = source.load()?;
    let process = Arc::new(Process::new(None, None));
    // Nobody is asked, so nothing more will be discovered.
    process.discovered.set_complete();
    let app = App::new(loaded.config, process, None);
    let headers = HeaderMap::new();
    let path = path.map_or_else(|| likely_path(body.as_bytes(), &headers), str::to_owned);
    let asked = Hypothetical {
        uri: path.parse()?,
        headers: &headers,
        body: body.into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let explanation = runtime
        .block_on(explain(&app, &Caller::operator(), &asked))
        .map_err(|failure| anyhow::anyhow!("{}", failure.message))?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&explanation)?)?;
    Ok(())
}

/// Where a model leads: as the running gateway tells, or else as it is configured.
fn explain_model(source: &Source, model: &str, key: Option<&str>) -> anyhow::Result<()> {
    let (_, loaded) = source.load()?;
    let path = format!("/v1/explain?model={}", utf8_percent_encode(model, NON_ALPHANUMERIC));
    let listen = loaded.config.server.listen;
    let told = if loaded.config.server.tls.is_some() {
        Err("it serves HTTPS; ask it for GET /v1/explain?model=NAME".to_owned())
    } else {
        running::get(listen, &path, key)
    };
    let outlook = match told {
        Ok(told) => told,
        Err(reason) => {
            writeln!(
                std::io::stderr(),
                "No gateway told at {listen}: {reason}. This is what the configuration says."
            )?;
            let process = Arc::new(Process::new(None, None));
            process.discovered.set_complete();
            let app = App::new(loaded.config, process, None);
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            runtime
                .block_on(outlook_of(&app, &Caller::operator(), model))
                .map_err(|failure| anyhow::anyhow!("{}", failure.message))?
        }
    };
    write!(std::io::stdout(), "{outlook}")?;
    Ok(())
}

fn usage(source: &Source, by: By, scope: &Scope, format: Format) -> anyhow::Result<()> {
    let text = report::usage(&source.ledger()?, by, scope, format)?;
    write!(std::io::stdout(), "{text}")?;
    Ok(())
}

fn tail(source: &Source, count: u32, follow: bool, format: LineFormat) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    report::tail(&source.ledger()?, count, follow, format, |line| {
        out.write_all(line.as_bytes())?;
        out.flush()
    })
}

fn keys_command(source: &Source, command: &KeysCommand) -> anyhow::Result<()> {
    let (_, loaded) = source.load()?;
    write!(std::io::stdout(), "{}", keys::run(command, &loaded.config)?)?;
    Ok(())
}

fn schema() -> anyhow::Result<()> {
    writeln!(
        std::io::stdout(),
        "{}",
        serde_json::to_string_pretty(&config::schema::schema())?
    )?;
    Ok(())
}

impl Only {
    fn scope(&self, since: Span) -> Scope {
        let age = u64::try_from(since.0.as_millis()).unwrap_or(u64::MAX);
        Scope {
            since: Some(unix_milliseconds().saturating_sub(age)),
            until: None,
            client: self.client.clone(),
            model: self.model.clone(),
            provider: self.provider.clone(),
            tag: self.tag.clone(),
        }
    }
}

fn environment() -> anyhow::Result<Env> {
    Env::read(Path::new(".")).map_err(|problems| report_all(&problems))
}

/// All problems, one on a line, and how many there are.
fn report_all(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    anyhow::anyhow!("{}\n{count} in the configuration.", lines.join("\n"))
}
