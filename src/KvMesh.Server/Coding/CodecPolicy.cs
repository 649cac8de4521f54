using KvMesh.Server.Options;

namespace KvMesh.Server.Coding;

/// <summary>Which codecs blocks of a tenant, a model and a layout are written in. Immutable.</summary>
internal sealed class CodecPolicy
{
    private readonly CodecChain? _general;
    private readonly Rule[] _rules;
    private readonly (string Tenant, bool IsEncoded)[] _opaque;

    private CodecPolicy(CodecChain? general, IEnumerable<CodecRuleOptions> rules, Func<CodecRuleOptions, (string Codecs, CodecCeilingOptions Ceiling)> partOf)
    {
        _general = general;
        _rules =
        [
            .. rules.Where(rule => rule.Layout != CodecRuleOptions.Opaque)
                .Select(rule => new Rule(rule.Tenant, rule.Model, rule.Layout, CodecChain.Of(partOf(rule).Codecs, partOf(rule).Ceiling))),
        ];
        _opaque = [.. rules.Where(rule => rule.Layout == CodecRuleOptions.Opaque).Select(rule => (rule.Tenant, partOf(rule).Codecs == CodecRuleOptions.Opaque))];
        IsRaw = general is null && _rules.All(rule => rule.Codecs is null) && !_opaque.Any(rule => rule.IsEncoded);
    }

    /// <summary>Whether nothing is encoded at all.</summary>
    public bool IsRaw { get; }

    /// <param name="options">Options that the rules have nothing against.</param>
    public static CodecPolicy OfHost(CodecOptions options) =>
        new(CodecChain.Of(options.Host, options.HostCeiling), options.Rules, rule => (rule.Host, rule.HostCeiling));

    /// <param name="options">Options that the rules have nothing against.</param>
    public static CodecPolicy OfDisk(CodecOptions options) =>
        new(CodecChain.Of(options.Disk, options.DiskCeiling), options.Rules, rule => (rule.Disk, rule.DiskCeiling));

    /// <param name="options">Options that the rules have nothing against.</param>
    public static CodecPolicy OfRedis(CodecOptions options) =>
        new(CodecChain.Of(options.Redis, options.RedisCeiling), options.Rules, rule => (rule.Redis, rule.RedisCeiling));

    /// <summary>Whether blocks of the tenant are encoded of which no layout is known. Only a rule for just them says so.</summary>
    public bool EncodesOpaque(string tenant) => Array.Find(_opaque, rule => Is(rule.Tenant, tenant)).IsEncoded;

    /// <summary>Whether some blocks of the tenant are encoded.</summary>
    public bool MayEncode(string tenant) =>
        EncodesOpaque(tenant) || _general is not null || Array.Exists(_rules, rule => rule.Codecs is not null && Is(rule.Tenant, tenant));

    /// <summary>The codecs; null: blocks are written as they are.</summary>
    public CodecChain? Find(string tenant, string model, string layout)
    {
        foreach (var rule in _rules)
        {
            if (Is(rule.Tenant, tenant) && Is(rule.Model, model) && Is(rule.Layout, layout))
            {
                return rule.Codecs;
            }
        }

        return _general;
    }

    private static bool Is(string wanted, string name) => wanted.Length == 0 || wanted == name;

    private sealed record Rule(string Tenant, string Model, string Layout, CodecChain? Codecs);
}
