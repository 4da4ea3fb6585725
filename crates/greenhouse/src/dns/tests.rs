use super::*;
use crate::world::{Greenhouse, Options};
use std::time::Duration;
use wire::{Rng, Time};

fn world() -> (Greenhouse, Time) {
    let time = Time::starting_at("2026-11-23T08:00:00Z".parse().unwrap(), Rng::seeded(1));
    (Greenhouse::new(&Options::default(), time.clone()).unwrap(), time)
}

fn ask(greenhouse: &Greenhouse, from: From) -> Vec<String> {
    let found = greenhouse.world.with(|state| resolve(state, from, "API.example.com."));
    found.into_iter().map(|address| address.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_name_that_was_asked_for_too_early_stays_missing_for_half_an_hour() {
    let (greenhouse, time) = world();
    let (rose, lily) = (From::Machine(1), From::Machine(2));
    assert!(ask(&greenhouse, rose).is_empty());
    greenhouse.foreign("record", "api").unwrap();
    assert_eq!(ask(&greenhouse, lily), ["198.51.100.99"], "who asks first now is told");
    time.sleep(Duration::from_secs(1799)).await;
    assert!(ask(&greenhouse, rose).is_empty());
    time.sleep(Duration::from_secs(1)).await;
    assert_eq!(ask(&greenhouse, rose), ["198.51.100.99"]);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_starts_anew_has_forgotten() {
    let (greenhouse, _) = world();
    let rose = From::Machine(1);
    assert!(ask(&greenhouse, rose).is_empty());
    greenhouse.foreign("record", "api").unwrap();
    greenhouse.world.with(|state| forget(state, rose));
    assert_eq!(ask(&greenhouse, rose), ["198.51.100.99"]);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_knows_the_tailnets_names_only_where_its_machine_takes_its_dns() {
    let (greenhouse, _) = world();
    let (operator, rose) = greenhouse.world.with(|state| {
        let kinds = crate::inventory::take(state);
        let name = kinds["tailscale_devices"][0]["name"].as_str().unwrap().to_owned();
        let label = name.split_once('.').unwrap().0;
        assert_eq!(resolve(state, From::Operator, label), resolve(state, From::Operator, &name));
        (resolve(state, From::Operator, &name), resolve(state, From::Machine(1), label))
    });
    assert!(operator.first().copied().is_some_and(tailscale::is_mesh));
    assert!(rose.is_empty());
}

#[test]
fn addresses_take_turns_behind_what_leads_to_them() {
    let row = |data| Row { name: "a".into(), ttl_s: 1, data };
    let [one, two] = [1, 2].map(|last| row(Data::A([192, 0, 2, last].into())));
    let alias = row(Data::Alias("b".into()));
    let mut rows = [alias.clone(), one.clone(), two.clone()];
    rotate(&mut rows);
    assert_eq!(rows, [alias, two, one]);
}

/// A question for `name` as bytes, asked of one of the servers.
fn bytes_of(name: &str, kind: u16) -> Vec<u8> {
    let labels = name.split('.').map(|label| [&[u8::try_from(label.len()).unwrap()][..], label.as_bytes()].concat());
    let header = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&header[..], &labels.collect::<Vec<_>>().concat(), &[0], &kind.to_be_bytes(), &[0, 1]].concat()
}

#[tokio::test(start_paused = true)]
async fn a_question_that_is_an_answer_or_nothing_is_not_answered() {
    let (greenhouse, _) = world();
    let ask = |bytes: &[u8]| serve(&greenhouse.world, Server::Authority, Transport::Udp, bytes);
    let good = bytes_of("example.com", kind::A);
    assert_eq!(ask(&good).unwrap()[..4], [7, 7, 0x85, 0], "an answer with authority");
    let mut response = good.clone();
    response[2] |= 0x80;
    assert_eq!((ask(&response), ask(&good[..11])), (None, None));
    let mut two = good.clone();
    two[5] = 2;
    assert_eq!(ask(&two).unwrap()[..4], [7, 7, 0x81, 1], "two questions are no question");
    let mut notify = good;
    notify[2] |= 4 << 3;
    assert_eq!(ask(&notify).unwrap()[3], 4);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_as_large_as_its_asker_takes_it() {
    let (greenhouse, _) = world();
    let text = format!("\"{}\"", "petal ".repeat(150));
    greenhouse.world.with(|state| cloudflare::foreign_text(state, "big", &text));
    let mut question = bytes_of("big.example.com", kind::TXT);
    let length = |question: &[u8], transport| serve(&greenhouse.world, Server::Authority, transport, question).unwrap();
    let cut = length(&question, Transport::Udp);
    assert!(cut.len() <= 512 && cut[2] & 2 != 0, "cut short, and says so");
    assert!(length(&question, Transport::Tcp).len() > 900);
    question[11] = 1;
    question.extend([0, 0, 41, 0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    let whole = length(&question, Transport::Udp);
    assert!(whole.len() > 900 && whole[2] & 2 == 0 && whole.ends_with(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]));
}

proptest::proptest! {
    #[test]
    fn no_message_makes_it_panic(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        at in 0..40usize,
        with: u8,
    ) {
        let _ = message::read(&bytes);
        let mut bent = bytes_of("api.example.com", kind::A);
        bent.extend(&bytes);
        let end = bent.len();
        bent[at % end] = with;
        for length in [end, end / 2, 29, 13] {
            if let Asked::Question(question) = message::read(&bent[..length.min(end)]) {
                let row = Row { name: question.name.clone(), ttl_s: 1, data: Data::Text(vec![bytes.clone()]) };
                let answer = Answer { rows: vec![row], ..Answer::only(Code::Fine) };
                let written = message::write(&question, &answer, true, Transport::Udp, Untrue::default());
                proptest::prop_assert!(written.len() <= 1232);
            }
        }
    }
}
