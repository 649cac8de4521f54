using KvMesh.Codecs.Blocks;
using KvMesh.Server.Coding;

namespace KvMesh.Server.Options;

/// <summary>Which codec options a node can follow.</summary>
internal static class CodecOptionsRules
{
    /// <summary>Most rules: each is looked at for each block.</summary>
    private const int MaxRules = 256;

    /// <summary>Most codecs of a chain: each that fails costs an encoding.</summary>
    private const int MaxCodecs = 8;

    /// <summary>What a tier may be given.</summary>
    public static IEnumerable<string> Choices => CodecRegistry.Standard.Presets.Select(codec => codec.Name);

    public static IEnumerable<string> Check(NodeOptions options)
    {
        var codecs = options.Codecs;
        if (Refusal("Codecs:Host", codecs.Host) is { } wrongHost)
        {
            yield return wrongHost;
        }

        if (Refusal("Codecs:Disk", codecs.Disk) is { } refusal)
        {
            yield return refusal;
        }

        if (Refusal("Codecs:Redis", codecs.Redis) is { } wrongRedis)
        {
            yield return wrongRedis;
        }

        if (codecs.Rules.Count > MaxRules)
        {
            yield return $"Codecs:Rules has {codecs.Rules.Count} rules; the limit is {MaxRules}.";
        }

        foreach (var wrongCeiling in CeilingsOf(codecs).SelectMany(Refusals))
        {
            yield return wrongCeiling;
        }

        var (layouts, problem) = LayoutsOf(options);
        if (problem is not null)
        {
            yield return problem;
        }

        for (var index = 0; index < codecs.Rules.Count; index++)
        {
            var rule = codecs.Rules[index];
            if (Refusal($"Codecs:Rules:{index}:Host", rule.Host, rule.Layout) is { } wrongInRam)
            {
                yield return wrongInRam;
            }

            if (Refusal($"Codecs:Rules:{index}:Disk", rule.Disk, rule.Layout) is { } wrong)
            {
                yield return wrong;
            }

            if (Refusal($"Codecs:Rules:{index}:Redis", rule.Redis, rule.Layout) is { } wrongToo)
            {
                yield return wrongToo;
            }

            if (layouts is not null && rule.Layout.Length > 0 && !layouts.Contains(rule.Layout))
            {
                yield return $"Codecs:Rules:{index}:Layout is \"{rule.Layout}\"; it must be empty or one of {string.Join(", ", layouts.Order(StringComparer.Ordinal))}.";
            }

            if (rule.Tenant.Length > 0 && options.Engine.Tenants.Count > 0 && options.Engine.Tenants.All(tenant => tenant.Name != rule.Tenant))
            {
                yield return $"Codecs:Rules:{index}:Tenant is \"{rule.Tenant}\"; it must be empty or one of {string.Join(", ", options.Engine.Tenants.Select(tenant => tenant.Name))}.";
            }
        }
    }

    private static (HashSet<string>? Names, string? Problem) LayoutsOf(NodeOptions options)
    {
        try
        {
            return ([.. LayoutBook.Load(options).Names], null);
        }
        catch (LayoutFileException exception)
        {
            return (null, $"Codecs:LayoutFile is {LayoutBook.PathOf(options)}: {exception.Message}");
        }
    }

    private static string? Refusal(string name, string codecs, string layout = "")
    {
        if (layout == CodecRuleOptions.Opaque)
        {
            return codecs is CodecRuleOptions.Raw or CodecRuleOptions.Opaque
                ? null
                : $"{name} is \"{codecs}\"; for blocks of which no layout is known it must be {CodecRuleOptions.Raw} or {CodecRuleOptions.Opaque}.";
        }

        var names = CodecChain.NamesOf(codecs);
        return names.FirstOrDefault(codec => CodecRegistry.Standard.Find(codec) is null) is { } unknown
                ? $"{name} is \"{codecs}\"; \"{unknown}\" is none of {string.Join(", ", Choices)}."
            : names.Length is 0 or > MaxCodecs ? $"{name} names {names.Length} codecs; it must name 1 to {MaxCodecs}."
            : names.TakeWhile(codec => !CodecRegistry.Standard.Find(codec)!.IsLossless).Count() < names.Length - 1
                ? $"{name} is \"{codecs}\"; nothing is tried behind {names.First(codec => CodecRegistry.Standard.Find(codec)!.IsLossless)}, which loses nothing."
            : null;
    }

    private static IEnumerable<(string Name, CodecCeilingOptions Ceiling)> CeilingsOf(CodecOptions codecs) =>
    [
        ("Codecs:HostCeiling", codecs.HostCeiling),
        ("Codecs:DiskCeiling", codecs.DiskCeiling),
        ("Codecs:RedisCeiling", codecs.RedisCeiling),
        .. codecs.Rules.SelectMany((rule, index) => ((string, CodecCeilingOptions)[])
        [
            ($"Codecs:Rules:{index}:HostCeiling", rule.HostCeiling), ($"Codecs:Rules:{index}:DiskCeiling", rule.DiskCeiling),
            ($"Codecs:Rules:{index}:RedisCeiling", rule.RedisCeiling),
        ]),
    ];

    private static IEnumerable<string> Refusals((string Name, CodecCeilingOptions Ceiling) part) =>
        new[] { (Name: "Keys", Value: part.Ceiling.Keys), (Name: "Values", Value: part.Ceiling.Values), (Name: "Outputs", Value: part.Ceiling.Outputs) }
            .Where(error => error.Value is not (>= 0 and <= 1))
            .Select(error => FormattableString.Invariant($"{part.Name}:{error.Name} is {error.Value}; it must be from 0 to 1."));
}
