"""Networks: what they are made of, pages of them, retry tokens, and the one order in which they go."""

import uuid

import oci
from oci.core.models import (
    AddNetworkSecurityGroupSecurityRulesDetails,
    AddSecurityRuleDetails,
    CreateInternetGatewayDetails,
    CreateNetworkSecurityGroupDetails,
    CreateRouteTableDetails,
    CreateSecurityListDetails,
    CreateSubnetDetails,
    CreateVcnDetails,
    EgressSecurityRule,
    IngressSecurityRule,
    PortRange,
    RouteRule,
    TcpOptions,
    UpdateRouteTableDetails,
    UpdateVcnDetails,
)

from judge import fault, same
from oracle_cloud import NETWORK, QUICK, TAGS, TENANCY, delete, paged, refused, wait


def make_vcn(name="judge", **more):
    details = CreateVcnDetails(compartment_id=TENANCY, cidr_blocks=["10.7.0.0/16"], display_name=name, freeform_tags=TAGS)
    return NETWORK.create_vcn(details, **more)


def network():
    made = make_vcn().data
    vcn = wait(NETWORK.get_vcn, made.id, "AVAILABLE")
    same((vcn.cidr_blocks, vcn.display_name, vcn.freeform_tags), (["10.7.0.0/16"], "judge", TAGS))
    response = NETWORK.update_vcn(vcn.id, UpdateVcnDetails(freeform_tags={"other": "tag"}))
    same(response.data.freeform_tags, {"other": "tag"}, "tags are replaced")
    same(NETWORK.get_vcn(vcn.id).headers["etag"], response.headers["etag"])
    gateway = NETWORK.create_internet_gateway(
        CreateInternetGatewayDetails(compartment_id=TENANCY, vcn_id=vcn.id, is_enabled=True, freeform_tags=TAGS)
    ).data
    rules = [RouteRule(destination="0.0.0.0/0", destination_type="CIDR_BLOCK", network_entity_id=gateway.id)]
    table = NETWORK.get_route_table(vcn.default_route_table_id)
    details = UpdateRouteTableDetails(route_rules=rules)
    refused(412, "NoEtagMatch", NETWORK.update_route_table, table.data.id, details, if_match="x")
    changed = NETWORK.update_route_table(table.data.id, details, if_match=table.headers["etag"]).data
    same([rule.network_entity_id for rule in changed.route_rules], [gateway.id])
    refused(412, "NoEtagMatch", NETWORK.update_route_table, table.data.id, details, if_match=table.headers["etag"])
    group = NETWORK.create_network_security_group(
        CreateNetworkSecurityGroupDetails(compartment_id=TENANCY, vcn_id=vcn.id, display_name="judge", freeform_tags=TAGS)
    ).data
    add = [
        AddSecurityRuleDetails(
            direction="INGRESS", protocol="6", source="0.0.0.0/0", source_type="CIDR_BLOCK",
            tcp_options=TcpOptions(destination_port_range=PortRange(min=port, max=port)),
        )
        for port in (80, 443)
    ]
    NETWORK.add_network_security_group_security_rules(
        group.id, AddNetworkSecurityGroupSecurityRulesDetails(security_rules=add)
    )
    kept = paged(NETWORK.list_network_security_group_security_rules, group.id)
    same(sorted(one.tcp_options.destination_port_range.min for one in kept), [80, 443])
    wrong = CreateSubnetDetails(compartment_id=TENANCY, vcn_id=vcn.id, cidr_block="10.99.1.0/24")
    refused(400, "InvalidParameter", NETWORK.create_subnet, wrong)
    subnet = NETWORK.create_subnet(
        CreateSubnetDetails(
            compartment_id=TENANCY, vcn_id=vcn.id, cidr_block="10.7.1.0/24", display_name="judge", freeform_tags=TAGS
        )
    ).data
    wait(NETWORK.get_subnet, subnet.id, "AVAILABLE")
    refused(400, "InvalidParameter", NETWORK.create_subnet, CreateSubnetDetails(
        compartment_id=TENANCY, vcn_id=vcn.id, cidr_block="10.7.1.128/25"))
    same(NETWORK.get_security_list(vcn.default_security_list_id).data.vcn_id, vcn.id)
    same([one.id for one in paged(NETWORK.list_subnets, TENANCY, vcn_id=vcn.id)], [subnet.id])
    same([one.id for one in paged(NETWORK.list_internet_gateways, TENANCY, vcn_id=vcn.id)], [gateway.id])
    return vcn, gateway, group, subnet


def take_down(vcn, gateway, group, subnet):
    """In the one order that is allowed; every other is refused."""
    refused(409, "IncorrectState", NETWORK.delete_vcn, vcn.id)
    refused(409, "Conflict", NETWORK.delete_internet_gateway, gateway.id)
    NETWORK.update_route_table(vcn.default_route_table_id, UpdateRouteTableDetails(route_rules=[]))
    same(delete_quickly(NETWORK.delete_internet_gateway, gateway.id), 204)
    wait(NETWORK.get_internet_gateway, gateway.id, "TERMINATED")
    refused(409, "Conflict", NETWORK.delete_vcn, vcn.id)
    delete(NETWORK, "subnet", subnet.id)
    refused(409, "Conflict", NETWORK.delete_vcn, vcn.id)
    delete(NETWORK, "network_security_group", group.id)
    with fault("oci vcn-busy for judge times 1"):
        refused(409, "IncorrectState", NETWORK.delete_vcn, vcn.id)
    operations = oci.core.VirtualNetworkClientCompositeOperations(NETWORK)
    operations.delete_vcn_and_wait_for_state(vcn.id, ["TERMINATED"], waiter_kwargs=QUICK | {"succeed_on_not_found": True})
    refused(404, "NotAuthorizedOrNotFound", NETWORK.get_vcn, vcn.id)


def delete_quickly(call, item_id):
    return call(item_id).status


def networks():
    take_down(*network())


def tokens():
    """Retry tokens: one thing for each."""
    token = uuid.uuid4().hex
    vcn = make_vcn(opc_retry_token=token).data
    same(make_vcn(opc_retry_token=token).data.id, vcn.id, "a retry token makes one thing")
    refused(409, "InvalidatedRetryToken", make_vcn, "other", opc_retry_token=token)
    wait(NETWORK.get_vcn, vcn.id, "AVAILABLE")
    delete(NETWORK, "vcn", vcn.id)
    refused(409, "InvalidatedRetryToken", make_vcn, opc_retry_token=token)


def pages():
    before = len(paged(NETWORK.list_vcns, TENANCY))
    made = [make_vcn(f"judge-{at}").data.id for at in range(5)]
    for vcn in made:
        wait(NETWORK.get_vcn, vcn, "AVAILABLE")
    found = paged(NETWORK.list_vcns, TENANCY)
    same([vcn.id for vcn in found[:5]], made[::-1], "the newest first")
    same(len(found), before + 5)
    ordered = paged(NETWORK.list_vcns, TENANCY, sort_by="DISPLAYNAME", sort_order="ASC")
    same([vcn.display_name for vcn in ordered], sorted(vcn.display_name for vcn in found))
    same([vcn.id for vcn in paged(NETWORK.list_vcns, TENANCY, display_name="judge-3")], [made[3]])
    first = NETWORK.list_vcns(TENANCY, limit=2)
    assert first.has_next_page and len(first.data) == 2
    same([vcn.id for vcn in NETWORK.list_vcns(TENANCY, limit=2, page=first.next_page).data], made[2:0:-1])
    refused(400, "InvalidParameter", NETWORK.list_vcns, TENANCY, page="no page")
    for vcn in made:
        delete(NETWORK, "vcn", vcn)


def tables():
    """Route tables and security lists beside those that come with a VCN."""
    vcn = wait(NETWORK.get_vcn, make_vcn().data.id, "AVAILABLE")
    table = NETWORK.create_route_table(
        CreateRouteTableDetails(compartment_id=TENANCY, vcn_id=vcn.id, display_name="judge", route_rules=[])
    ).data
    web = IngressSecurityRule(
        protocol="6", source="0.0.0.0/0", tcp_options=TcpOptions(destination_port_range=PortRange(min=443, max=443))
    )
    out = EgressSecurityRule(protocol="all", destination="0.0.0.0/0")
    details = CreateSecurityListDetails(
        compartment_id=TENANCY, vcn_id=vcn.id, display_name="judge", ingress_security_rules=[web], egress_security_rules=[out]
    )
    rules = NETWORK.create_security_list(details).data
    same([rule.tcp_options.destination_port_range.max for rule in rules.ingress_security_rules], [443])
    same([(rule.destination, rule.is_stateless) for rule in rules.egress_security_rules], [("0.0.0.0/0", False)])
    wrong = IngressSecurityRule(protocol="17", source="0.0.0.0/0", tcp_options=web.tcp_options)
    details.ingress_security_rules = [wrong]
    refused(400, "InvalidParameter", NETWORK.create_security_list, details)
    subnet = NETWORK.create_subnet(
        CreateSubnetDetails(
            compartment_id=TENANCY, vcn_id=vcn.id, cidr_block="10.7.2.0/24", route_table_id=table.id,
            security_list_ids=[rules.id], prohibit_public_ip_on_vnic=True,
        )
    ).data
    same((subnet.route_table_id, subnet.security_list_ids), (table.id, [rules.id]))
    wait(NETWORK.get_subnet, subnet.id, "AVAILABLE")
    for kind, one in (("route_table", table), ("security_list", rules)):
        found = {item.id for item in paged(getattr(NETWORK, f"list_{kind}s"), compartment_id=TENANCY, vcn_id=vcn.id)}
        same(found, {one.id, getattr(vcn, f"default_{kind}_id")}, kind)
        refused(409, "IncorrectState", getattr(NETWORK, f"delete_{kind}"), one.id)
        refused(409, "IncorrectState", getattr(NETWORK, f"delete_{kind}"), getattr(vcn, f"default_{kind}_id"))
    delete(NETWORK, "subnet", subnet.id)
    delete(NETWORK, "route_table", table.id)
    delete(NETWORK, "security_list", rules.id)
    delete(NETWORK, "vcn", vcn.id)
