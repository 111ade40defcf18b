package suture.approval_test

import data.suture.approval

_low := {
	"quorum": 1,
	"roles": ["approver"],
	"ladder": ["approver", "admin"],
	"distinct_teams": false,
	"decide_within_s": 400,
	"execute_within_s": 60,
	"remind_after_s": 100,
	"escalate_after_s": 200,
}

_settings := {
	"by_risk": {"low": _low, "high": object.union(_low, {"quorum": 2})},
	"without_dry_run": {"low": "high", "high": "high"},
}

_ask(change) := object.union(
	{
		"plan": {"risk": "low", "fidelity": "server"},
		"principal": "prn_1",
		"issuer": "prn_1",
		"kind": "person",
		"roles": ["approver"],
		"is_active": true,
		"choice": "approve",
		"excluded": ["prn_2", "prn_3"],
	},
	change,
)

_rule(plan) := answer if {
	answer := approval.rule with input as {"plan": plan} with data.settings.approval as _settings
}

_codes(change) := codes if {
	deny := approval.deny with input as _ask(change)
		with data.settings.approval as _settings
	codes := {refusal.code | some refusal in deny}
}

test_empty_input_is_refused_for_every_reason if {
	answer := approval.answer with input as {} with data.settings.approval as _settings
	answer.allow == false
	{refusal.code | some refusal in answer.deny} == {"AP001", "AP002", "AP003", "AP004", "AP005"}
}

test_empty_input_has_no_rule if _rule({}) == {"tier": "block"}

test_rule_carries_the_numbers_of_its_risk if {
	_rule({"risk": "low", "fidelity": "server"}) == object.union(_low, {"tier": "human"})
}

test_high_risk_may_need_two_people if _rule({"risk": "high", "fidelity": "server"}).quorum == 2

test_no_dry_run_demands_what_the_next_risk_demands if _rule({"risk": "low", "fidelity": "none"}).quorum == 2

test_unknown_risk_is_blocked if _rule({"risk": "tiny", "fidelity": "server"}) == {"tier": "block"}

test_unknown_fidelity_is_blocked if _rule({"risk": "low", "fidelity": "best"}) == {"tier": "block"}

test_unusable_settings_are_blocked if {
	every change in [
		{"quorum": 0}, {"roles": []}, {"ladder": []}, {"remind_after_s": 0}, {"remind_after_s": 200},
		{"escalate_after_s": 400}, {"execute_within_s": 0}, {"distinct_teams": "no"}, {"distinct_teams": true}, {"quorum": "2"},
	] {
		rule := approval.rule with input as _ask({})
			with data.settings.approval as object.union(_settings, {"by_risk": {"low": change}})
		rule == {"tier": "block"}
	}
}

test_missing_settings_are_blocked if {
	rule := approval.rule with input as _ask({}) with data.settings as {}
	rule == {"tier": "block"}
}

test_approver_may_decide if {
	approval.allow with input as _ask({}) with data.settings.approval as _settings
}

test_plan_of_unknown_risk_is_decided_by_nobody if _codes({"plan": {"risk": "tiny"}}) == {"AP001", "AP004"}

test_unknown_choice_is_refused if _codes({"choice": "maybe"}) == {"AP001"}

test_whoever_had_a_hand_in_the_plan_is_refused if _codes({"principal": "prn_2"}) == {"AP002"}

test_rejecting_needs_independence_too if _codes({"principal": "prn_2", "choice": "reject"}) == {"AP002"}

test_issuer_of_the_token_counts_as_the_decider if _codes({"issuer": "prn_3"}) == {"AP002"}

test_any_approver_may_revoke if _codes({"principal": "prn_2", "choice": "revoke"}) == set()

test_service_account_is_refused if _codes({"kind": "service"}) == {"AP003"}

test_missing_role_is_refused if _codes({"roles": ["operator", "admin"]}) == {"AP004"}

test_inactive_principal_is_refused if _codes({"is_active": false}) == {"AP005"}

test_principal_that_is_no_text_is_refused if _codes({"principal": null}) == {"AP001"}

test_issuer_that_is_no_text_is_refused if _codes({"issuer": null}) == {"AP001"}

test_excluded_that_is_no_list_is_refused if _codes({"excluded": "none"}) == {"AP001", "AP002"}

test_revoking_needs_the_list_of_excluded_too if _codes({"excluded": "none", "choice": "revoke"}) == {"AP001"}
