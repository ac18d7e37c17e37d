use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::Protocol;

fn asked(name: &str) -> Request {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/rerank");
    let body = std::fs::read(folder.join(format!("{name}.json"))).unwrap();
    read_request(&body, name == "cohere-v2").unwrap()
}

fn written(request: &Request, provider: Provider) -> (String, Vec<String>) {
    let mut lost = Losses::new(Protocol::Cohere);
    let outgoing = write_request(request, provider, "up", &mut lost).unwrap();
    assert_eq!(outgoing.path, "/rerank");
    let lost = lost
        .listed()
        .iter()
        .map(|loss| format!("{}: {}", loss.field, loss.reason));
    (String::from_utf8(outgoing.body).unwrap(), lost.collect())
}

fn answered(request: &Request, body: &str) -> String {
    String::from_utf8(read_answer(request, body.as_bytes()).unwrap().write(request)).unwrap()
}

#[test]
fn the_form_follows_from_the_path_and_the_fields() {
    for (name, shape, returned) in [
        ("cohere-v2", Shape::CohereV2, false),
        ("cohere-v1", Shape::CohereV1, true),
        ("jina", Shape::Jina, true),
        ("jina-pictures", Shape::Jina, false),
        ("voyage", Shape::Voyage, true),
        ("tei", Shape::Tei, true),
    ] {
        let request = asked(name);
        assert_eq!((request.shape, request.return_documents), (shape, returned), "{name}");
    }
}

#[test]
fn every_provider_gets_its_own_words() {
    let request = asked("cohere-v2");
    assert_eq!(
        written(&request, Provider::Cohere),
        (
            r#"{"model":"up","query":"capital?","documents":["Bern","Rome","Paris"],"top_n":2,"max_tokens_per_doc":512}"#.into(),
            vec![]
        )
    );
    assert_eq!(
        written(&request, Provider::Jina),
        (
            r#"{"model":"up","query":"capital?","documents":["Bern","Rome","Paris"],"top_n":2,"return_documents":false}"#.into(),
            vec!["max_tokens_per_doc: not supported".into()]
        )
    );
    assert_eq!(
        written(&asked("voyage"), Provider::Voyage),
        (
            r#"{"model":"up","query":"capital?","documents":["Bern","Rome"],"top_k":1,"return_documents":false,"truncation":true}"#.into(),
            vec![]
        )
    );
    assert_eq!(
        written(&asked("jina"), Provider::Jina).0,
        r#"{"model":"up","query":"capital?","documents":["Bern",{"text":"Rome"}],"top_n":2,"return_documents":false}"#
    );
}

#[test]
fn what_only_one_form_knows_is_kept_within_it() {
    let body = r#"{"model":"m","query":"q","documents":["a"],"priority":3}"#;
    let request = read_request(body.as_bytes(), true).unwrap();
    assert!(
        written(&request, Provider::Cohere)
            .0
            .ends_with(r#""documents":["a"],"priority":3}"#)
    );
    assert_eq!(written(&request, Provider::Jina).1, ["priority: no counterpart"]);
}

#[test]
fn objects_become_texts_where_only_texts_are_ranked() {
    let (body, lost) = written(&asked("cohere-v1"), Provider::Cohere);
    assert_eq!(
        body,
        r#"{"model":"up","query":"capital?","documents":["Bern","{\"title\":\"R\",\"text\":\"Rome\"}"]}"#
    );
    assert_eq!(
        lost,
        [
            "rank_fields: no counterpart",
            "max_chunks_per_doc: no counterpart",
            "documents: objects sent as their JSON"
        ]
    );
    let mut lost = Losses::new(Protocol::Cohere);
    let refused = write_request(&asked("jina-pictures"), Provider::Voyage, "up", &mut lost).unwrap_err();
    assert_eq!(refused.to_string(), "`documents`: the provider ranks texts only");
}

/// Case 144.
#[test]
fn answers_are_sorted_and_cut_and_keep_their_indices() {
    let cohere = r#"{"id":"r","results":[{"index":2,"relevance_score":0.1},{"index":0,"relevance_score":0.9},{"index":1,"relevance_score":0.5}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":1}}}"#;
    assert_eq!(
        answered(&asked("cohere-v2"), cohere),
        r#"{"id":"r","results":[{"index":0,"relevance_score":0.9},{"index":1,"relevance_score":0.5}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":1}}}"#
    );
    let jina = r#"{"model":"x","usage":{"total_tokens":7},"results":[{"index":"1","relevance_score":0.7,"document":{"text":"wrong"}},{"index":0,"relevance_score":-1.5}]}"#;
    assert_eq!(
        answered(&asked("jina"), jina),
        r#"{"model":"jina-reranker-v2","object":"list","usage":{"total_tokens":7,"prompt_tokens":7},"results":[{"index":1,"relevance_score":0.7,"document":{"text":"Rome"}},{"index":0,"relevance_score":-1.5,"document":{"text":"Bern"}}]}"#
    );
    assert_eq!(
        answered(&asked("cohere-v1"), jina),
        r#"{"id":"","results":[{"index":1,"relevance_score":0.7,"document":{"title":"R","text":"Rome"}},{"index":0,"relevance_score":-1.5,"document":{"text":"Bern"}}],"meta":{"api_version":{"version":"1"},"billed_units":{"search_units":1}}}"#
    );
    let voyage = r#"{"object":"list","data":[{"index":1,"relevance_score":0.4},{"index":0,"relevance_score":0.6}],"usage":{"total_tokens":9}}"#;
    assert_eq!(
        answered(&asked("voyage"), voyage),
        r#"{"object":"list","data":[{"index":0,"relevance_score":0.6,"document":{"text":"Bern"}}],"model":"rerank-2.5","usage":{"total_tokens":9,"prompt_tokens":9}}"#
    );
    let tei = r#"[{"index":0,"score":0.25},{"index":1,"score":0.75}]"#;
    assert_eq!(
        answered(&asked("tei"), tei),
        r#"[{"index":1,"text":"Rome","score":0.75},{"index":0,"text":"Bern","score":0.25}]"#
    );
}

#[test]
fn wrong_answers_are_not_believed() {
    let request = asked("jina");
    let fault = |body: &str| read_answer(&request, body.as_bytes()).unwrap_err().to_string();
    assert_eq!(fault(r#"{"message":"no"}"#), "`results` must be an array");
    assert_eq!(
        fault(r#"{"results":[{"index":9,"score":1}]}"#),
        "`results[0].index` must be the number of a document"
    );
    assert_eq!(
        fault(r#"{"results":[{"score":1}]}"#),
        "`results[0]` must have index and score"
    );
    let twice = r#"{"results":[{"index":1,"score":1},{"index":1,"score":2}]}"#;
    assert_eq!(read_answer(&request, twice.as_bytes()).unwrap().results.len(), 1);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (body, expected) in [
        (r#"{"query":"q","documents":["a"]}"#, "`model` must be a string"),
        (
            r#"{"model":"m","documents":["a"]}"#,
            "`query` must be a string that is not empty",
        ),
        (
            r#"{"model":"m","query":"q","documents":[]}"#,
            "`documents` must be an array that is not empty",
        ),
        (
            r#"{"model":"m","query":"q","documents":["a",1]}"#,
            "`documents[1]` must be a string or an object",
        ),
        (
            r#"{"model":"m","query":"q","documents":["a"],"top_n":0}"#,
            "`top_n` must be a positive integer",
        ),
        (
            r#"{"model":"m","query":"q","documents":["a"],"return_documents":1}"#,
            "`return_documents` must be a boolean",
        ),
        ("7", "`body` must be an object"),
    ] {
        assert_eq!(read_request(body.as_bytes(), false).unwrap_err().to_string(), expected);
    }
}

proptest! {
    #[test]
    fn arbitrary_json_never_panics(json in crate::embeddings::tests::any_json(), is_v2: bool) {
        let _ = read_request(json.as_bytes(), is_v2);
        let _ = read_answer(&asked("jina"), json.as_bytes());
    }

    #[test]
    fn a_ranking_is_a_ranking_of_the_documents(scores in prop::collection::vec(-5.0..5.0_f64, 1..12), top in prop::option::of(1..15_u64)) {
        let mut request = asked("jina");
        request.documents = scores.iter().map(|score| Document::Text(score.to_string())).collect();
        request.top_n = top;
        let items: Vec<String> = scores.iter().enumerate().map(|(index, score)| format!(r#"{{"index":{index},"score":{score}}}"#)).collect();
        let answer = read_answer(&request, format!("[{}]", items.join(",")).as_bytes()).unwrap();
        prop_assert_eq!(answer.results.len(), top.map_or(scores.len(), |top| scores.len().min(usize::try_from(top).unwrap())));
        prop_assert!(answer.results.windows(2).all(|pair| pair[0].score >= pair[1].score));
        prop_assert!(answer.results.iter().all(|ranked| scores[ranked.index].total_cmp(&ranked.score).is_eq()));
    }
}
