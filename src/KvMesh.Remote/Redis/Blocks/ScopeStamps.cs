using System.Globalization;
using System.Text;

namespace KvMesh.Remote.Redis.Blocks;

/// <summary>
/// What was purged of a tenant, as one hash in Redis tells: field <c>base</c> and one field for each model, revision, or both that was ever
/// purged, each with 64 random bits that a purge replaces. A block carries the <see cref="Of"/> of its writing and is visible only while
/// that is still the same. Random bits instead of counters: when Redis loses the hash, the next writer begins a new one and what is
/// older stays invisible, where a counter would begin again and bring back what was purged.
/// </summary>
internal sealed class ScopeStamps
{
    /// <summary>Most fields; a purge beyond that empties the hash and with it voids everything of the tenant.</summary>
    public const int MaxFields = 256;

    public const string BaseField = "base";

    private const int MaxFieldBytes = 1 + (2 * 4 * byte.MaxValue) + 1;

    private readonly Dictionary<string, ulong> _fields = new(StringComparer.Ordinal);

    /// <summary>Whether the hash is there. Without it, nothing of the tenant is visible.</summary>
    public bool HasBase => _fields.ContainsKey(BaseField);

    public int Count => _fields.Count;

    /// <summary>The field that a purge replaces. Null stands for all.</summary>
    public static string FieldOf(string? model, string? revision) => (model, revision) switch
    {
        (null, null) => BaseField,
        (_, null) => "m" + model,
        (null, _) => "v" + revision,
        _ => $"s{model}\0{revision}",
    };

    /// <summary>New random bits, as text that <see cref="Read"/> reads.</summary>
    public static byte[] NewValue() =>
        Encoding.ASCII.GetBytes(BitConverter.ToUInt64(System.Security.Cryptography.RandomNumberGenerator.GetBytes(8)).ToString("x16", CultureInfo.InvariantCulture));

    /// <summary>Asks for the hash.</summary>
    public static void Ask(RedisConnection connection, ReadOnlySpan<byte> scopesKey)
    {
        connection.Commands.Begin(2);
        connection.Commands.Add("HGETALL"u8);
        connection.Commands.Add(scopesKey);
    }

    /// <summary>Reads the answer.</summary>
    public void Read(RedisConnection connection)
    {
        _fields.Clear();
        var reply = connection.Next();
        if (reply.Kind != Protocol.Resp.RespReplyKind.Array || reply.Number > 2 * (MaxFields + 64))
        {
            throw new Protocol.Resp.RespReplyException($"The hash of purged scopes is no array of at most {MaxFields + 64} pairs.");
        }

        for (var pair = 0; pair < reply.Number / 2; pair++)
        {
            var field = ReadText(connection);
            var value = ReadText(connection);
            if (!ulong.TryParse(value, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var bits))
            {
                throw new Protocol.Resp.RespReplyException("A value in the hash of purged scopes is no number.");
            }

            _fields[field] = bits;
        }
    }

    /// <summary>What a block of that model and revision must carry to be visible. The weights are odd, so that no two purges cancel out.</summary>
    public ulong Of(string model, string revision) =>
        unchecked(Bits(BaseField) + (3 * Bits("m" + model)) + (5 * Bits("v" + revision)) + (7 * Bits(FieldOf(model, revision))));

    private ulong Bits(string field) => _fields.GetValueOrDefault(field);

    private static string ReadText(RedisConnection connection)
    {
        var bytes = connection.ReadValueHead(MaxFieldBytes);
        if (bytes < 0)
        {
            throw new Protocol.Resp.RespReplyException("The hash of purged scopes has a hole.");
        }

        Span<byte> text = stackalloc byte[MaxFieldBytes];
        connection.Replies.Receive(text[..bytes]);
        connection.Replies.EndBulk();
        return Encoding.UTF8.GetString(text[..bytes]);
    }
}
