using System.ComponentModel.DataAnnotations;

namespace KvMesh.Server.Options;

/// <summary>In how many bytes blocks are kept. Where nothing is set, blocks are kept as they are.</summary>
public sealed class CodecOptions
{
    /// <summary>Codecs of blocks in RAM, as those on disk: an arena holds more blocks, and whoever reads one waits for its decoding.</summary>
    [Required]
    public string Host { get; set; } = CodecRuleOptions.Raw;

    /// <summary>What a block in RAM may lose.</summary>
    public CodecCeilingOptions HostCeiling { get; set; } = new();

    /// <summary>Codecs of blocks on disk, by commas, from the wanted one to safer ones; each is a preset, or <c>raw</c>, which is tried last anyway.</summary>
    [Required]
    public string Disk { get; set; } = CodecRuleOptions.Raw;

    /// <summary>What a block on disk may lose.</summary>
    public CodecCeilingOptions DiskCeiling { get; set; } = new();

    /// <summary>Codecs of blocks in Redis, as those on disk. All nodes of the cluster must know codecs and layouts.</summary>
    [Required]
    public string Redis { get; set; } = CodecRuleOptions.Raw;

    /// <summary>What a block in Redis may lose.</summary>
    public CodecCeilingOptions RedisCeiling { get; set; } = new();

    /// <summary>File that says what the bytes of models mean that are not built in. Empty: <c>layouts.json</c> in the data directory, if there is one.</summary>
    public string LayoutFile { get; set; } = "";

    /// <summary>Exceptions; the first one that names tenant, model and layout of a block counts.</summary>
    public IList<CodecRuleOptions> Rules { get; } = [];
}

/// <summary>
/// Largest errors that a codec may make, measured on each block; above one of them the next safer codec is tried. Parts of one, of the Frobenius norm;
/// 0: no ceiling.
/// </summary>
public sealed class CodecCeilingOptions
{
    /// <summary>Largest relative error of keys.</summary>
    public double Keys { get; set; }

    /// <summary>Largest relative error of values, or of latents.</summary>
    public double Values { get; set; }

    /// <summary>Largest relative error of attention outputs, of queries made from the block's own keys.</summary>
    public double Outputs { get; set; }
}

/// <summary>Codecs of some blocks.</summary>
public sealed class CodecRuleOptions
{
    /// <summary>No codec.</summary>
    public const string Raw = "raw";

    /// <summary>As a layout: blocks of which no layout is known. As a codec, for these alone: their bytes, entropy coded, where a sample of them says that it pays.</summary>
    public const string Opaque = "opaque";

    /// <summary>Tenant whose blocks are meant; empty: every tenant's.</summary>
    public string Tenant { get; set; } = "";

    /// <summary>Model of the blocks that are meant, as their writers name it; empty: every model.</summary>
    public string Model { get; set; } = "";

    /// <summary>Name of the layout of the blocks that are meant; empty: every layout.</summary>
    public string Layout { get; set; } = "";

    /// <summary>Codecs of these blocks in RAM.</summary>
    [Required]
    public string Host { get; set; } = Raw;

    /// <summary>What these blocks may lose in RAM.</summary>
    public CodecCeilingOptions HostCeiling { get; set; } = new();

    /// <summary>Codecs of these blocks on disk.</summary>
    [Required]
    public string Disk { get; set; } = Raw;

    /// <summary>What these blocks may lose on disk.</summary>
    public CodecCeilingOptions DiskCeiling { get; set; } = new();

    /// <summary>Codecs of these blocks in Redis.</summary>
    [Required]
    public string Redis { get; set; } = Raw;

    /// <summary>What these blocks may lose in Redis.</summary>
    public CodecCeilingOptions RedisCeiling { get; set; } = new();
}
