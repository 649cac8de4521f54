namespace KvMesh.Protocol.Admin;

/// <summary>One option in force.</summary>
/// <param name="Name">Full name, such as "Engine:ArenaBytes".</param>
/// <param name="Value">Value in force; secrets read "(set)".</param>
/// <param name="Default">Value without configuration.</param>
/// <param name="Source">"default", "file", "environment" or "command line".</param>
public sealed record ConfigurationEntry(string Name, string Value, string Default, string Source);
