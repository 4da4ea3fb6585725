//! Decisions, and answers that no honest server gives.

use super::exchange::{Signed, encoded, read};
use super::message::{Row, question, update};
use super::names::{Seen, beside};
use super::transfer::Flow;
use super::*;
use crate::AddressRecord;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::{TSIG, TsigError, make_tsig_record, message_tbs};
use hickory_proto::rr::{Name, RData, Record};
use proptest::prelude::*;
use wire::Secret;

const NAME: &str = "api.bouquet.example.com";
const NOW_S: u64 = 1_795_000_000;

fn key(secret: &str) -> Key {
    Key::new("bouquet", Algorithm::HmacSha256, Secret::new(secret)).unwrap()
}

fn rows(name: &str, all: &[Data]) -> Vec<Row> {
    all.iter().map(|data| Row { name: name.to_owned(), ttl_s: 60, data: data.clone() }).collect()
}

fn seen(addresses: &[&str], marks: &[&str]) -> Seen {
    let addresses: Vec<Data> = addresses.iter().map(|text| Data::address(text.parse().unwrap())).collect();
    let marks: Vec<Data> = marks.iter().map(|text| Data::text(text)).collect();
    Seen { v4: rows(NAME, &addresses), marks: rows(&beside(NAME), &marks), ..Seen::default() }
}

fn wanted(node: &str, address: &str) -> AddressRecord {
    let mark = format!("bouquet/blumen/api/{node}");
    AddressRecord { name: NAME.into(), address: address.parse().unwrap(), ttl_s: 60, mark }
}

fn removed(update: &Update) -> Vec<String> {
    let removed = update.changes.iter().filter_map(|change| match change {
        Change::Remove(name, data) => Some(format!("{name} {data}")),
        _ => None,
    });
    removed.collect()
}

#[test]
fn an_address_that_moves_takes_the_old_one_and_its_mark_away() {
    let there = seen(&["192.0.2.1"], &["bouquet/blumen/api/rose 192.0.2.1"]);
    let update = there.toward(&wanted("rose", "100.64.0.7")).unwrap().unwrap();
    let marks = beside(NAME);
    assert_eq!(removed(&update), [format!("{marks} bouquet/blumen/api/rose 192.0.2.1"), format!("{NAME} 192.0.2.1")]);
    assert!(
        update
            .prerequisites
            .contains(&Prerequisite::Equals(NAME.into(), vec![Data::address("192.0.2.1".parse().unwrap())]))
    );
    assert!(update.prerequisites.contains(&Prerequisite::Absent(NAME.into(), Kind::Aaaa)));
    let settled = seen(&["100.64.0.7"], &["bouquet/blumen/api/rose 100.64.0.7"]);
    assert_eq!(settled.toward(&wanted("rose", "100.64.0.7")).unwrap(), None, "what is so is not made so");
}

#[test]
fn an_address_that_two_nodes_share_stays_for_the_other() {
    let marks = ["bouquet/blumen/api/rose 192.0.2.1", "bouquet/blumen/api/lily 192.0.2.1"];
    let update = seen(&["192.0.2.1"], &marks).toward(&wanted("rose", "100.64.0.7")).unwrap().unwrap();
    assert_eq!(removed(&update), [format!("{} {}", beside(NAME), marks[0])]);
    let gone = ("bouquet/blumen/api/rose".to_owned(), "192.0.2.1".parse().unwrap());
    assert_eq!(removed(&seen(&["192.0.2.1"], &marks).minus(NAME, &gone).unwrap()).len(), 1);
}

#[test]
fn what_nobody_marked_is_not_taken_over() {
    let error = seen(&["100.64.0.7"], &["v=spf1 -all"]).toward(&wanted("rose", "100.64.0.7")).unwrap_err();
    assert_eq!(error.why, Why::Taken);
    let alias = rows(NAME, &[Data::alias("elsewhere.example.org").unwrap()]).pop();
    let error = Seen { alias, ..Seen::default() }.toward(&wanted("rose", "100.64.0.7")).unwrap_err();
    assert!(error.why == Why::Taken && error.message.contains("elsewhere.example.org"), "{error}");
}

#[test]
fn a_mark_whose_record_is_gone_is_seen_and_its_record_made_again() {
    let lone = seen(&[], &["bouquet/blumen/api/rose 100.64.0.7"]);
    assert_eq!(lone.records(NAME)[0].content, "");
    assert!(lone.toward(&wanted("rose", "100.64.0.7")).unwrap().is_some());
    let foreign = seen(&["198.51.100.9"], &[]);
    assert_eq!(foreign.records(NAME)[0].mark, None);
}

#[test]
fn a_server_is_a_host_with_or_without_a_port() {
    for (text, host, port) in [
        ("ns1.example.com", "ns1.example.com", 53),
        ("ns1.example.com:5353", "ns1.example.com", 5353),
        ("2001:db8::1", "2001:db8::1", 53),
        ("[2001:db8::1]:54", "2001:db8::1", 54),
    ] {
        let server = Rfc2136::new(text, None).unwrap().server;
        assert_eq!((server.host.as_str(), server.port), (host, port), "{text}");
    }
    for wrong in ["", ":53", "ns1:port", "ns1:0", "dns://ns1", "a b", "ns1:99999"] {
        assert_eq!(Rfc2136::new(wrong, None).err().map(|error| error.why), Some(Why::Invalid), "{wrong}");
    }
}

/// A server's answer, signed by `key` for a request with that MAC; `shape` changes it before it is signed.
fn answer(asked: &Message, key: &Key, mac: &[u8], at_s: u64, shape: impl Fn(&mut Message, &mut TSIG)) -> Vec<u8> {
    let mut answer = asked.clone().into_response();
    let mut tsig = TSIG::new(key.algorithm.tsig(), at_s, 300, Vec::new(), asked.id, None, Vec::new());
    shape(&mut answer, &mut tsig);
    let length = u16::try_from(mac.len()).unwrap().to_be_bytes();
    let covered = [&length[..], mac, &message_tbs(&answer, &tsig, &key.name).unwrap()].concat();
    let mac = key.algorithm.tsig().mac_data(&key.bytes().unwrap(), &covered).unwrap();
    if tsig.error.is_none_or(|error| error == TsigError::BadTime) {
        tsig = tsig.set_mac(mac);
    }
    answer.set_signature(Box::new(make_tsig_record(key.name.clone(), tsig)));
    answer.to_vec().unwrap()
}

fn heard(bytes_of: impl Fn(&Message, &[u8]) -> Vec<u8>) -> Result<(), Error> {
    let key = key("b3Vycw==");
    let asked = update("example.com", &Update::default()).unwrap();
    let (_, mac) = encoded(UPDATE, &asked, Some(&key), NOW_S).unwrap();
    let bytes = bytes_of(&asked, &mac);
    read(UPDATE, &asked, &bytes, Some(Signed { key: &key, mac: &mac, now_s: NOW_S })).map(drop)
}

#[test]
fn only_an_answer_that_the_key_signed_for_this_request_is_a_success() {
    let ours = key("b3Vycw==");
    assert_eq!(heard(|asked, mac| answer(asked, &ours, mac, NOW_S, |_, _| {})), Ok(()));
    let why = |bytes: &dyn Fn(&Message, &[u8]) -> Vec<u8>| heard(bytes).unwrap_err().why;
    assert_eq!(why(&|asked, mac| answer(asked, &key("dGhlaXJz"), mac, NOW_S, |_, _| {})), Why::Garbled);
    assert_eq!(why(&|asked, _| answer(asked, &ours, &[7; 32], NOW_S, |_, _| {})), Why::Garbled, "of another request");
    assert_eq!(why(&|asked, _| asked.clone().into_response().to_vec().unwrap()), Why::Garbled, "unsigned");
    assert_eq!(why(&|asked, mac| answer(asked, &ours, mac, NOW_S + 301, |_, _| {})), Why::ClockSkew);
    let other = Key::new("another", Algorithm::HmacSha256, Secret::new("b3Vycw==")).unwrap();
    assert_eq!(why(&|asked, mac| answer(asked, &other, mac, NOW_S, |_, _| {})), Why::Garbled);
    assert_eq!(
        why(&|asked, mac| answer(asked, &ours, mac, NOW_S, |it, _| it.metadata.truncation = true)),
        Why::Garbled
    );
    assert_eq!(why(&|asked, mac| answer(asked, &ours, mac, NOW_S, |it, _| it.metadata.id ^= 1)), Why::Garbled);
}

#[test]
fn what_a_server_has_against_a_signature_is_told_apart() {
    let ours = key("b3Vycw==");
    let refused = |error: TsigError, other: &[u8]| {
        heard(|asked, mac| {
            answer(asked, &ours, mac, NOW_S, |it, tsig| {
                it.metadata.response_code = ResponseCode::NotAuth;
                tsig.error = Some(error);
                tsig.other = other.to_vec();
            })
        })
        .unwrap_err()
    };
    assert_eq!(refused(TsigError::BadKey, &[]).vendor_code.as_deref(), Some("NOTAUTH BADKEY"));
    assert_eq!(refused(TsigError::BadSig, &[]).why, Why::Unauthenticated);
    let skewed = refused(TsigError::BadTime, &(NOW_S + 3600).to_be_bytes()[2..]);
    assert_eq!(
        (skewed.why, skewed.message.as_str()),
        (Why::ClockSkew, "the server's clock is 3600 s ahead of this machine's")
    );
}

#[test]
fn an_unsigned_refusal_is_believed_and_an_unsigned_verdict_is_not() {
    let plain = |code| {
        heard(|asked, _| {
            let mut answer = asked.clone().into_response();
            answer.metadata.response_code = code;
            answer.to_vec().unwrap()
        })
        .unwrap_err()
        .why
    };
    assert_eq!([plain(ResponseCode::Refused), plain(ResponseCode::ServFail)], [Why::Forbidden, Why::Trouble]);
    assert_eq!(plain(ResponseCode::NXRRSet), Why::Garbled);
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0..600usize, with: u8) {
        let _ = heard(|_, _| bytes.clone());
        let mut bent = heard_well();
        let length = bent.len();
        bent[at % length] = with;
        bent.truncate(length - at % 3);
        let _ = heard(|_, _| bent.clone());
    }

    #[test]
    fn any_text_is_a_name_or_is_refused(text in ".*") {
        let _ = question(&text, Kind::A);
        let _ = Rfc2136::new(&text, None);
    }
}

fn heard_well() -> Vec<u8> {
    let asked = update("example.com", &Update::default()).unwrap();
    answer(&asked, &key("b3Vycw=="), &[7; 32], NOW_S, |it, _| {
        it.answers.push(hickory_proto::rr::Record::from_rdata(
            message::name(UPDATE, NAME).unwrap(),
            60,
            hickory_proto::rr::RData::A(hickory_proto::rr::rdata::A::new(192, 0, 2, 1)),
        ));
    })
}

/// A zone in three messages, as a server signs them: `signed` says which; the last byte of the second may be turned.
fn transferred(signed: [bool; 3], turned: bool) -> Result<Vec<Row>, Why> {
    let key = key("c2VjcmV0");
    let question = question("flowers.test", Kind::Transfer).unwrap();
    let mut flow = Flow::new(&question, Some(&key), NOW_S).unwrap();
    let (mut mac, mut unsigned) = (Message::from_vec(&flow.request).unwrap().signature.unwrap().data.mac, Vec::new());
    let soa = hickory_proto::rr::rdata::SOA::new(Name::root(), Name::root(), 1, 2, 3, 4, 5);
    let apex = Name::from_ascii("flowers.test.").unwrap();
    let start = Record::from_rdata(apex.clone(), 60, RData::SOA(soa));
    let leaf = |text: &str| Record::from_rdata(apex.clone(), 60, RData::TXT(TXT::new(vec![text.to_owned()])));
    let messages = [vec![start.clone(), leaf("a")], vec![leaf("b"), leaf("c")], vec![start]];
    for (at, (records, is_signed)) in messages.into_iter().zip(signed).enumerate() {
        let mut message = Message::new(question.id, MessageType::Response, OpCode::Query);
        message.answers = records;
        let mut bytes = message.to_vec().unwrap();
        if is_signed {
            let tsig = TSIG::new(key.algorithm.tsig(), NOW_S, 300, Vec::new(), message.id, None, Vec::new());
            let own = if at == 0 {
                message_tbs(&message, &tsig, &key.name).unwrap()
            } else {
                // Time and fudge alone follow the later ones: RFC 8945 §5.3.1.
                [bytes, NOW_S.to_be_bytes()[2..].to_vec(), 300_u16.to_be_bytes().to_vec()].concat()
            };
            let length = u16::try_from(mac.len()).unwrap().to_be_bytes();
            let covered = [&length[..], &mac, &std::mem::take(&mut unsigned), &own].concat();
            mac = key.algorithm.tsig().mac_data(&key.bytes().unwrap(), &covered).unwrap();
            message.set_signature(Box::new(make_tsig_record(key.name.clone(), tsig.set_mac(mac.clone()))));
            bytes = message.to_vec().unwrap();
        } else {
            unsigned.extend_from_slice(&bytes);
            if turned {
                *bytes.last_mut().unwrap() ^= 1;
            }
        }
        match flow.take(&bytes) {
            Ok(false) => {}
            Ok(true) => return Ok(flow.rows),
            Err(error) => return Err(error.why),
        }
    }
    panic!("it does not end")
}

#[test]
fn each_signature_of_a_transfer_is_over_all_since_the_one_before() {
    assert_eq!(transferred([true, true, true], false).unwrap().len(), 4);
    assert_eq!(transferred([true, false, true], false).unwrap().len(), 4);
    for (signed, turned) in [([true, false, true], true), ([false, true, true], false), ([true, true, false], false)] {
        assert_eq!(transferred(signed, turned), Err(Why::Garbled), "{signed:?} {turned}");
    }
}
