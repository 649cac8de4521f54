using System.ComponentModel.DataAnnotations;

namespace KvMesh.Gateway.Resp;

/// <summary>What the Redis door promises and how much one connection may use.</summary>
public sealed class RespOptions
{
    /// <summary>The entry of <see cref="ContentKeyPatterns"/> that stands for LMCache's grammar.</summary>
    public const string LmcachePattern = "lmcache";

    /// <summary>
    /// How long a block stays readable after EXISTS said that it is here; 0 gives no lease. The default covers the time in which
    /// LMCache's clients turn a lookup into loads. The engine's <c>MaxExistenceLease</c> is the upper bound.
    /// </summary>
    public TimeSpan ExistsLease { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Which keys name content, so that the first sealed writer wins and later ones are told OK: regular expressions over the whole key,
    /// read as Latin-1, with optional groups <c>model</c> and <c>hash</c>, or the word <c>lmcache</c> for LMCache's own keys. Empty: <c>lmcache</c>.
    /// </summary>
    public IList<string> ContentKeyPatterns { get; } = [];

    /// <summary>Most bytes of one request, streamed values apart. Beyond it the connection ends with an error.</summary>
    [Range(64 * 1024, 256 * 1024 * 1024)]
    public int MaxRequestBytes { get; set; } = 8 * 1024 * 1024;

    /// <summary>Most keys that KEYS lists; more are refused with a hint at SCAN. 0 refuses KEYS.</summary>
    [Range(0, 1 << 24)]
    public int MaxListedKeys { get; set; } = 100_000;

    /// <summary>Longest pause between two keys of one prompt; 0 switches the guessing of chains off.</summary>
    public TimeSpan ChainWindow { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Most families of keys (source address × model × rank) whose order is followed at once, at about 400 bytes each.</summary>
    [Range(16, 1 << 20)]
    public int MaxTrackedChains { get; set; } = 4096;
}
