/* The PowerShell of target setup, teardown and inventory. Cmdlets and parameters as Microsoft documents them (learn.microsoft.com, modules
   Microsoft.Graph.Applications and ExchangeOnlineManagement); tests/system/powershell.py holds them with their sources and checks every
   use. None of it has been run against a live tenant. Kept simple on purpose: an administrator reads it before it runs. */
#include "engine/command/target_steps.h"

const char setup_functions[] =
	"# What was there before is written down once and never overwritten, so that this script may run again, and "
	"teardown can\n"
	"# restore it. Keep the file until teardown has run.\n"
	"$Old = @{}\n"
	"if (Test-Path -LiteralPath $Before) {\n"
	"    Import-Csv -LiteralPath $Before | ForEach-Object { $Old[$_.Key] = $_.Value }\n"
	"}\n"
	"function Save-Before($Key, $Value) {\n"
	"    if (-not $Old.ContainsKey($Key)) {\n"
	"        $Old[$Key] = \"$Value\"\n"
	"        [pscustomobject]@{ Key = $Key; Value = \"$Value\" } | "
	"Export-Csv -LiteralPath $Before -Append -NoTypeInformation -Encoding UTF8\n"
	"    }\n"
	"}\n"
	"# Exchange prints sizes as \"36 MB (37,748,736 bytes)\" or \"Unlimited\".\n"
	"function Get-Bytes($Size) {\n"
	"    if (\"$Size\" -match '\\(([0-9.,]+) bytes\\)') { return [long]($Matches[1] -replace '[.,]', '') }\n"
	"    return \"$Size\"\n"
	"}\n"
	"# Exactly one mailbox for each address, by its own id from here on: no wildcard, no other mailbox of a "
	"similar name.\n"
	"$Missing = @()\n"
	"$Boxes = @(foreach ($Address in $Mailboxes) {\n"
	"    $Found = @(Get-Mailbox -Identity $Address -ErrorAction SilentlyContinue)\n"
	"    if ($Found.Count -eq 1) {\n"
	"        [pscustomobject]@{ Address = $Address; Id = \"$($Found[0].Guid)\"; Mailbox = $Found[0] }\n"
	"    } else {\n"
	"        $Missing += $Address\n"
	"    }\n"
	"})\n"
	"foreach ($Address in $Missing) { Write-Warning \"no mailbox, or more than one: $Address\" }\n"
	"function Get-Role($ResourceAppId, $Role) {\n"
	"    $Resource = Get-MgServicePrincipal -Filter \"appId eq '$ResourceAppId'\"\n"
	"    $AppRole = $Resource.AppRoles | Where-Object { $_.Value -eq $Role -and $_.AllowedMemberTypes -contains "
	"'Application' }\n"
	"    if (-not $AppRole) { throw \"there is no application permission $Role in this tenant\" }\n"
	"    $All = Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Enterprise.Id -All\n"
	"    $Granted = @($All | Where-Object { $_.AppRoleId -eq $AppRole.Id -and $_.ResourceId -eq $Resource.Id })\n"
	"    return [pscustomobject]@{ ResourceId = $Resource.Id; AppRoleId = $AppRole.Id; Granted = $Granted }\n"
	"}\n"
	"# The assignment is the administrator's consent.\n"
	"function Grant-Role($ResourceAppId, $Role) {\n"
	"    $Known = Get-Role $ResourceAppId $Role\n"
	"    Save-Before \"Role|$Role\" ($Known.Granted.Count -gt 0)\n"
	"    if ($Known.Granted.Count -eq 0) {\n"
	"        New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Enterprise.Id -PrincipalId "
	"$Enterprise.Id "
	"-ResourceId $Known.ResourceId -AppRoleId $Known.AppRoleId | Out-Null\n"
	"    }\n"
	"}\n"
	"function Revoke-Role($ResourceAppId, $Role) {\n"
	"    if ($Old[\"Role|$Role\"] -eq 'False') {\n"
	"        foreach ($Assignment in (Get-Role $ResourceAppId $Role).Granted) {\n"
	"            Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Enterprise.Id "
	"-AppRoleAssignmentId $Assignment.Id\n"
	"        }\n"
	"    }\n"
	"}\n";

/* The roles are added by target_setup.c from the table of permissions, as a step of its own behind the first. */
static const struct setup_step steps[] = {
	{"The enterprise application: what an app registration is within this tenant", NULL, false, false,
		"$Enterprise = Get-MgServicePrincipal -Filter \"appId eq '$AppId'\"\n"
		"Save-Before 'EnterpriseApplication' ([bool]$Enterprise)\n"
		"if (-not $Enterprise) { $Enterprise = New-MgServicePrincipal -AppId $AppId }\n",
		"if ($Old['EnterpriseApplication'] -eq 'False') {\n"
		"    Remove-MgServicePrincipal -ServicePrincipalId $Enterprise.Id\n"
		"}\n"},
	{"The certificate that nightferry signs in with", NULL, false, true,
		"$App = Get-MgApplication -Filter \"appId eq '$AppId'\"\n"
		"$Thumbprints = @($App.KeyCredentials | ForEach-Object { "
		"[Convert]::ToBase64String($_.CustomKeyIdentifier) })\n"
		"$Thumbprint = [Convert]::ToBase64String($Certificate.GetCertHash())\n"
		"Save-Before 'Certificate' ($Thumbprints -contains $Thumbprint)\n"
		"if ($Thumbprints -notcontains $Thumbprint) {\n"
		"    if ($Thumbprints.Count -eq 0) {\n"
		"        Update-MgApplication -ApplicationId $App.Id -KeyCredentials @(@{ Type = 'AsymmetricX509Cert'; "
		"Usage = 'Verify'; "
		"Key = $Certificate.RawData })\n"
		"    } else {\n"
		"        # Adding to those that are there would need their keys again: by hand, then.\n"
		"        [IO.File]::WriteAllBytes(\"$PWD/nightferry.cer\", $Certificate.RawData)\n"
		"        Write-Warning 'upload nightferry.cer: app registration, Certificates & secrets, Upload "
		"certificate'\n"
		"    }\n"
		"}\n",
		"if ($Old['Certificate'] -eq 'False') {\n"
		"    Write-Warning \"remove the certificate $($Certificate.Thumbprint): app registration, Certificates "
		"& secrets\"\n"
		"}\n"},
	{"Exchange's own reference to it", "imap", false, false,
		"# -ObjectId is the object id of the *enterprise application*. The app registration has another object "
		"id; giving that one is\n"
		"# the classic mistake: everything seems fine and each sign-in fails with \"AUTHENTICATE failed\".\n"
		"$Principal = @(Get-ServicePrincipal | Where-Object { $_.AppId -eq $AppId })\n"
		"if ($Principal.Count -gt 0 -and $Principal[0].ObjectId -ne $Enterprise.Id) {\n"
		"    throw \"Exchange knows this application by a wrong object id. Remove-ServicePrincipal -Identity "
		"$($Principal[0].ObjectId), then run this again\"\n"
		"}\n"
		"Save-Before 'ServicePrincipal' ($Principal.Count -gt 0)\n"
		"if ($Principal.Count -eq 0) {\n"
		"    $Principal = @(New-ServicePrincipal -AppId $AppId -ObjectId $Enterprise.Id -DisplayName "
		"\"nightferry $Target\")\n"
		"}\n",
		"if ($Old['ServicePrincipal'] -eq 'False') {\n"
		"    Remove-ServicePrincipal -Identity $Enterprise.Id -Confirm:$false\n"
		"}\n"},
	{"The access scope: Graph's permissions reach every mailbox of the tenant unless a policy narrows them. A "
	 "group first",
		"mime", false, false,
		"$Group = \"nightferry $AppId\"\n"
		"$Known = @(Get-DistributionGroup -Identity $Group -ErrorAction SilentlyContinue)\n"
		"Save-Before 'Group' ($Known.Count -gt 0)\n"
		"if ($Known.Count -eq 0) {\n"
		"    New-DistributionGroup -Name $Group -Type Security | Out-Null\n"
		"    Set-DistributionGroup -Identity $Group -HiddenFromAddressListsEnabled $true\n"
		"}\n",
		"if ($Old['Group'] -eq 'False') { Remove-DistributionGroup -Identity $Group -Confirm:$false }\n"},
	{"The mailboxes in that group", "mime", true, false,
		"$Members = @(Get-DistributionGroupMember -Identity $Group -ResultSize Unlimited | ForEach-Object { "
		"\"$($_.Guid)\" })\n"
		"foreach ($Box in $Boxes) {\n"
		"    Save-Before \"Member|$($Box.Id)\" ($Members -contains $Box.Id)\n"
		"    if ($Members -notcontains $Box.Id) { Add-DistributionGroupMember -Identity $Group -Member $Box.Id "
		"}\n"
		"}\n",
		"$Members = @(Get-DistributionGroupMember -Identity $Group -ResultSize Unlimited | ForEach-Object { "
		"\"$($_.Guid)\" })\n"
		"foreach ($Box in $Boxes) {\n"
		"    if ($Old[\"Member|$($Box.Id)\"] -eq 'False' -and $Members -contains $Box.Id) {\n"
		"        Remove-DistributionGroupMember -Identity $Group -Member $Box.Id -Confirm:$false\n"
		"    }\n"
		"}\n"},
	{"A policy that lets the application into no other mailbox", "mime", false, false,
		"# Microsoft documents it for Mail.ReadWrite; that it holds for Mail-Advanced.ReadWrite.All is not "
		"documented. It takes up to an\n"
		"# hour; Test-ApplicationAccessPolicy -AppId $AppId -Identity ADDRESS shows what applies. RBAC for "
		"Applications is to replace it.\n"
		"$Policy = @(Get-ApplicationAccessPolicy | Where-Object { $_.AppId -eq $AppId })\n"
		"Save-Before 'Policy' ($Policy.Count -gt 0)\n"
		"if ($Policy.Count -eq 0) {\n"
		"    New-ApplicationAccessPolicy -AccessRight RestrictAccess -AppId $AppId -PolicyScopeGroupId $Group "
		"-Description 'nightferry' | Out-Null\n"
		"}\n",
		"if ($Old['Policy'] -eq 'False') {\n"
		"    foreach ($Policy in @(Get-ApplicationAccessPolicy | Where-Object { $_.AppId -eq $AppId })) {\n"
		"        Remove-ApplicationAccessPolicy -Identity $Policy.Identity -Confirm:$false\n"
		"    }\n"
		"}\n"},
	{"Full access of the application to each mailbox", "imap", true, false,
		"$Names = @($Principal[0].Identity, $Principal[0].Name, $Principal[0].ObjectId, $Principal[0].Sid) | "
		"ForEach-Object { \"$_\" }\n"
		"foreach ($Box in $Boxes) {\n"
		"    $Full = @(Get-MailboxPermission -Identity $Box.Id | Where-Object { $_.AccessRights -contains "
		"'FullAccess' -and "
		"-not $_.Deny -and $Names -contains \"$($_.User)\" })\n"
		"    Save-Before \"FullAccess|$($Box.Id)\" ($Full.Count -gt 0)\n"
		"    if ($Full.Count -eq 0) {\n"
		"        Add-MailboxPermission -Identity $Box.Id -User $Enterprise.Id -AccessRights FullAccess "
		"-AutoMapping $false | Out-Null\n"
		"    }\n"
		"}\n",
		"foreach ($Box in $Boxes) {\n"
		"    if ($Old[\"FullAccess|$($Box.Id)\"] -eq 'False') {\n"
		"        Remove-MailboxPermission -Identity $Box.Id -User $Enterprise.Id -AccessRights FullAccess "
		"-Confirm:$false\n"
		"    }\n"
		"}\n"},
	{"IMAP for each mailbox", "imap", true, false,
		"foreach ($Box in $Boxes) {\n"
		"    $Cas = Get-CASMailbox -Identity $Box.Id\n"
		"    Save-Before \"ImapEnabled|$($Box.Id)\" $Cas.ImapEnabled\n"
		"    if (-not $Cas.ImapEnabled) { Set-CASMailbox -Identity $Box.Id -ImapEnabled $true }\n"
		"}\n",
		"foreach ($Box in $Boxes) {\n"
		"    if ($Old[\"ImapEnabled|$($Box.Id)\"] -eq 'False') { Set-CASMailbox -Identity $Box.Id -ImapEnabled "
		"$false }\n"
		"}\n"},
	{"The largest message that a mailbox takes: 150 MB is the most Exchange Online can be set to", NULL, true,
		false,
		"# Afterwards: nightferry target set NAME --max-message-size 150MB\n"
		"foreach ($Box in $Boxes) {\n"
		"    Save-Before \"MaxReceiveSize|$($Box.Id)\" (Get-Bytes $Box.Mailbox.MaxReceiveSize)\n"
		"    if (\"$(Get-Bytes $Box.Mailbox.MaxReceiveSize)\" -ne '157286400') {\n"
		"        Set-Mailbox -Identity $Box.Id -MaxReceiveSize 157286400\n"
		"    }\n"
		"}\n",
		"foreach ($Box in $Boxes) {\n"
		"    $Size = $Old[\"MaxReceiveSize|$($Box.Id)\"]\n"
		"    if ($Size -and $Size -ne '157286400') { Set-Mailbox -Identity $Box.Id -MaxReceiveSize $Size }\n"
		"}\n"},
	{"Retention hold: no policy archives or deletes old mail while it arrives", NULL, true, false,
		"foreach ($Box in $Boxes) {\n"
		"    Save-Before \"RetentionHoldEnabled|$($Box.Id)\" $Box.Mailbox.RetentionHoldEnabled\n"
		"    if (-not $Box.Mailbox.RetentionHoldEnabled) { Set-Mailbox -Identity $Box.Id -RetentionHoldEnabled "
		"$true }\n"
		"}\n",
		"foreach ($Box in $Boxes) {\n"
		"    if ($Old[\"RetentionHoldEnabled|$($Box.Id)\"] -eq 'False') { Set-Mailbox -Identity $Box.Id "
		"-RetentionHoldEnabled $false }\n"
		"}\n"},
};

const struct setup_step *setup_steps(size_t *n)
{
	*n = sizeof(steps) / sizeof(steps[0]);
	return steps;
}

const char setup_closing[] = "# Rights take effect within an hour. Then: nightferry target test NAME\n"
			     "# If a sign-in is refused although all of this is done:\n"
			     "# - a conditional access policy for workload identities blocks it (AADSTS53003): exclude "
			     "this application, or allow the\n"
			     "#   address of the machine that nightferry runs on. Policies for users (MFA, security "
			     "defaults) do not apply to it.\n"
			     "# - nightferry needs outgoing TLS (1.2 or later) to the token service and Graph (port "
			     "443) and to IMAP (port 993), and a proxy or\n"
			     "#   firewall that looks into TLS must let these pass or be named with --ca-file.\n";

const char inventory_body[] = "$Rows = foreach ($Address in $Mailboxes) {\n"
			      "    $Found = @(Get-Mailbox -Identity $Address -ErrorAction SilentlyContinue)\n"
			      "    if ($Found.Count -ne 1) {\n"
			      "        Write-Warning \"no mailbox, or more than one: $Address\"\n"
			      "        continue\n"
			      "    }\n"
			      "    $Box = $Found[0]\n"
			      "    $Id = \"$($Box.Guid)\"\n"
			      "    $Cas = Get-CASMailbox -Identity $Id\n"
			      "    $Statistics = Get-MailboxStatistics -Identity $Id\n"
			      "    [pscustomobject]@{\n"
			      "        EmailAddress = $Box.PrimarySmtpAddress\n"
			      "        UserPrincipalName = $Box.UserPrincipalName\n"
			      "        ObjectId = $Box.ExternalDirectoryObjectId\n"
			      "        Type = $Box.RecipientTypeDetails\n"
			      "        ProxyAddresses = $Box.EmailAddresses -join ' '\n"
			      "        Licensed = $Box.SkuAssigned\n"
			      "        QuotaBytes = $Box.ProhibitSendReceiveQuota\n"
			      "        UsedBytes = $Statistics.TotalItemSize\n"
			      "        ImapEnabled = $Cas.ImapEnabled\n"
			      "        MaxReceiveSizeBytes = $Box.MaxReceiveSize\n"
			      "        LitigationHold = $Box.LitigationHoldEnabled\n"
			      "        RetentionHold = $Box.RetentionHoldEnabled\n"
			      "        RecoverableItemsQuotaBytes = $Box.RecoverableItemsQuota\n"
			      "        RecoverableItemsUsedBytes = $Statistics.TotalDeletedItemSize\n"
			      "        ArchiveStatus = $Box.ArchiveStatus\n"
			      "    }\n"
			      "}\n"
			      "$Rows | Export-Csv -LiteralPath $Out -NoTypeInformation -Encoding UTF8\n"
			      "Write-Host \"$(@($Rows).Count) of $($Mailboxes.Count) mailboxes are in $Out. Then: "
			      "nightferry batch assess BATCH --inventory FILE\"\n";
