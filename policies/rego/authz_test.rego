package suture.authz_test

import data.suture.authz

_settings := {
	"everyone": ["plan.read"],
	"roles": {
		"viewer": [],
		"operator": ["plan.execute", "run.start", "kill_switch.engage"],
		"approver": ["approval.decide", "kill_switch.engage"],
	},
	"persons_only": ["plan.execute", "approval.decide"],
}

_ask(change) := object.union(
	{
		"action": "run.start",
		"principal": {
			"id": "prn_1",
			"org": "org_1",
			"kind": "person",
			"roles": ["operator"],
			"is_active": true,
			"scopes": ["*"],
		},
		"resource": {"type": "run", "org": "org_1"},
	},
	change,
)

_codes(change) := codes if {
	deny := authz.deny with input as _ask(change)
		with data.settings.authz as _settings
	codes := {refusal.code | some refusal in deny}
}

test_empty_input_is_refused_for_every_reason if {
	answer := authz.answer with input as {} with data.settings.authz as _settings
	answer.allow == false
	{refusal.code | some refusal in answer.deny} == {"AZ001", "AZ002", "AZ003", "AZ004", "AZ005", "AZ006"}
}

test_missing_settings_allow_nothing if {
	not authz.allow with input as _ask({}) with data.settings as {}
}

test_missing_list_of_acts_for_persons_stops_services if {
	deny := authz.deny with input as _ask({"principal": {"kind": "service"}})
		with data.settings.authz as object.remove(_settings, ["persons_only"])
	codes := {refusal.code | some refusal in deny}
	codes == {"AZ005"}
}

test_role_allows_its_actions if {
	authz.allow with input as _ask({}) with data.settings.authz as _settings
}

test_unknown_action_is_refused if "AZ001" in _codes({"action": "run.explode"})

test_principal_without_a_known_role_reads_nothing if {
	_codes({"action": "plan.read", "principal": {"roles": ["root"]}}) == {"AZ001", "AZ004"}
}

test_inactive_principal_is_refused if _codes({"principal": {"is_active": false}}) == {"AZ002"}

test_resource_of_another_org_is_refused if _codes({"resource": {"org": "org_2"}}) == {"AZ003"}

test_principal_of_another_org_is_refused if _codes({"principal": {"org": "org_2"}}) == {"AZ003"}

test_role_without_the_action_is_refused if _codes({"principal": {"roles": ["viewer"]}}) == {"AZ004"}

test_any_role_reads if _codes({"action": "plan.read", "principal": {"roles": ["viewer"]}}) == set()

test_service_account_starts_a_run if _codes({"principal": {"kind": "service"}}) == set()

test_service_account_executes_nothing if {
	_codes({"action": "plan.execute", "principal": {"kind": "service"}}) == {"AZ005"}
}

test_unknown_kind_of_principal_is_refused if _codes({"principal": {"kind": "robot"}}) == {"AZ005"}

test_scope_of_the_noun_covers_its_verbs if _codes({"principal": {"scopes": ["run:*"]}}) == set()

test_scope_of_the_action_covers_it if _codes({"principal": {"scopes": ["run.start"]}}) == set()

test_scope_of_another_noun_does_not_cover if _codes({"principal": {"scopes": ["plan:*"]}}) == {"AZ006"}

test_no_scope_covers_nothing if _codes({"principal": {"scopes": []}}) == {"AZ006"}

test_principal_without_an_id_is_refused if _codes({"principal": {"id": 7}}) == {"AZ001"}

test_resource_without_a_type_is_refused if _codes({"resource": {"type": null}}) == {"AZ001"}

test_org_that_is_no_text_is_refused if {
	_codes({"resource": {"org": null}, "principal": {"org": null}}) == {"AZ003"}
}

test_malformed_list_of_acts_for_persons_stops_services if {
	deny := authz.deny with input as _ask({"principal": {"kind": "service"}})
		with data.settings.authz as object.union(_settings, {"persons_only": "none"})
	{refusal.code | some refusal in deny} == {"AZ005"}
}
