namespace KvMesh.LoadTest.Clients;

/// <summary>
/// How a cache spells GET and SET. Keys and values of one connection have one length, so that every command and every reply
/// has one too and the client needs no parser.
/// </summary>
internal interface ICacheDialect
{
    /// <summary>A GET of a key of <paramref name="key"/>'s length.</summary>
    byte[] Get(byte[] key);

    /// <summary>A SET up to where the value begins.</summary>
    byte[] SetHead(byte[] key, int valueBytes);

    byte[] SetTail { get; }

    /// <summary>A hit up to where the value begins.</summary>
    byte[] HitHead(byte[] key, int valueBytes);

    byte[] HitTail { get; }

    byte[] Miss { get; }

    byte[] Stored { get; }

    /// <summary>How an answer begins that says that there was no room for the value, now; empty: none does.</summary>
    byte[] NoRoom { get; }

    /// <summary>Removes every key.</summary>
    byte[] Flush { get; }

    byte[] Flushed { get; }
}

/// <summary>RESP2: redis-server and KvMesh.</summary>
internal sealed class RespDialect : ICacheDialect
{
    public byte[] SetTail { get; } = "\r\n"u8.ToArray();

    public byte[] HitTail => SetTail;

    public byte[] Miss { get; } = "$-1\r\n"u8.ToArray();

    public byte[] Stored { get; } = "+OK\r\n"u8.ToArray();

    public byte[] NoRoom { get; } = [];

    public byte[] Flush { get; } = "*1\r\n$8\r\nFLUSHALL\r\n"u8.ToArray();

    public byte[] Flushed => Stored;

    public byte[] Get(byte[] key) => [.. "*2\r\n$3\r\nGET\r\n$"u8, .. Number(key.Length), .. "\r\n"u8, .. key, .. "\r\n"u8];

    public byte[] SetHead(byte[] key, int valueBytes) =>
        [.. "*3\r\n$3\r\nSET\r\n$"u8, .. Number(key.Length), .. "\r\n"u8, .. key, .. "\r\n$"u8, .. Number(valueBytes), .. "\r\n"u8];

    public byte[] HitHead(byte[] key, int valueBytes) => [.. "$"u8, .. Number(valueBytes), .. "\r\n"u8];

    internal static byte[] Number(int value) => System.Text.Encoding.ASCII.GetBytes(value.ToString(System.Globalization.CultureInfo.InvariantCulture));
}

/// <summary>The text protocol of memcached.</summary>
internal sealed class MemcachedDialect : ICacheDialect
{
    public byte[] SetTail { get; } = "\r\n"u8.ToArray();

    public byte[] HitTail { get; } = "\r\nEND\r\n"u8.ToArray();

    public byte[] Miss { get; } = "END\r\n"u8.ToArray();

    public byte[] Stored { get; } = "STORED\r\n"u8.ToArray();

    public byte[] NoRoom { get; } = "SERVER_ERROR "u8.ToArray();

    public byte[] Flush { get; } = "flush_all\r\n"u8.ToArray();

    public byte[] Flushed { get; } = "OK\r\n"u8.ToArray();

    public byte[] Get(byte[] key) => [.. "get "u8, .. key, .. "\r\n"u8];

    public byte[] SetHead(byte[] key, int valueBytes) => [.. "set "u8, .. key, .. " 0 0 "u8, .. RespDialect.Number(valueBytes), .. "\r\n"u8];

    public byte[] HitHead(byte[] key, int valueBytes) => [.. "VALUE "u8, .. key, .. " 0 "u8, .. RespDialect.Number(valueBytes), .. "\r\n"u8];
}
