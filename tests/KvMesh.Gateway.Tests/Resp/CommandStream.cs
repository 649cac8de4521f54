using System.Globalization;
using System.Text;

namespace KvMesh.Gateway.Tests.Resp;

/// <summary>Random commands over few keys, so that they meet: every command with Redis' meaning, its options in every case and order, and nonsense.</summary>
internal sealed class CommandStream(int seed)
{
    private readonly Random _random = new(seed);

    public object[] Next() => _random.Next(34) switch
    {
        < 5 => SetWithOptions(),
        < 8 => [Case("GET"), Key()],
        8 => [Case("GETEX"), Key(), .. Expiry(isSet: false)],
        9 => [Case("GETDEL"), Key()],
        10 => [Case("GETSET"), Key(), Value()],
        11 => [Case("SETNX"), Key(), Value()],
        12 => [Case(OneOf("SETEX", "PSETEX")), Key(), Duration(), Value()],
        13 => [Case("MGET"), .. Keys()],
        14 => [Case("MSET"), .. Keys().SelectMany(key => new[] { key, Value() }), .. _random.Next(10) == 0 ? [Key()] : Array.Empty<object>()],
        15 => [Case(OneOf("EXISTS", "TOUCH")), .. Keys()],
        16 => [Case(OneOf("DEL", "UNLINK")), .. Keys()],
        17 or 18 => [Case(OneOf("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME")), Key()],
        19 or 20 => [Case(OneOf("EXPIRE", "PEXPIRE")), Key(), Duration(), .. Condition()],
        21 => [Case(OneOf("EXPIREAT", "PEXPIREAT")), Key(), Moment(), .. Condition()],
        22 => [Case("PERSIST"), Key()],
        23 => [Case("STRLEN"), Key()],
        24 or 25 => [Case(OneOf("GETRANGE", "SUBSTR")), Key(), Offset(), Offset()],
        26 => [Case("TYPE"), Key()],
        27 => [Case("DBSIZE")],
        28 => [Case("OBJECT"), Case("ENCODING"), Key()],
        29 => [Case(OneOf("PING", "ECHO")), Value()],
        30 => [Case("CLIENT"), Case("GETNAME")],
        31 => _random.Next(20) == 0 ? [Case(OneOf("FLUSHALL", "FLUSHDB"))] : [Case("EXISTS"), Key()],
        32 => WrongArity(),
        _ => [OneOf("NOSUCH", "SETT", "GE"), .. Keys()],
    };

    private object[] SetWithOptions()
    {
        var options = new List<object>();
        if (_random.Next(3) == 0)
        {
            options.AddRange(Expiry(isSet: true));
        }

        foreach (var word in new[] { "NX", "XX", "GET", "KEEPTTL", "PERSIST" })
        {
            if (_random.Next(6) == 0)
            {
                options.Insert(_random.Next(3) == 0 ? 0 : options.Count, Case(word));
            }
        }

        return [Case("SET"), Key(), Value(), .. options];
    }

    private object[] Expiry(bool isSet) => _random.Next(8) switch
    {
        0 => [Case(isSet ? "KEEPTTL" : "PERSIST")],
        1 => [Case("EX"), Duration(), Case(OneOf("PX", "EX")), Duration()],
        2 => [Case("EX")],
        < 6 => [Case(OneOf("EX", "PX")), Duration()],

        // A SET that has expired already is not counted by us and for a moment by Redis, so DBSIZE would differ.
        _ => [Case(OneOf("EXAT", "PXAT")), isSet ? FutureMoment() : Moment()],
    };

    private object[] Condition() => _random.Next(4) switch
    {
        0 => [Case(OneOf("NX", "XX", "GT", "LT"))],
        1 when _random.Next(3) == 0 => [Case(OneOf("NX", "XX", "GT")), Case(OneOf("LT", "GT", "XX"))],
        2 when _random.Next(6) == 0 => ["nonsense"],
        _ => [],
    };

    private object[] WrongArity() => _random.Next(5) switch
    {
        0 => [Case(OneOf("GET", "STRLEN", "TTL", "TYPE", "GETDEL"))],
        1 => [Case(OneOf("GET", "STRLEN", "TTL", "TYPE", "GETDEL", "PERSIST")), Key(), Key()],
        2 => [Case(OneOf("SET", "SETNX", "GETSET", "EXPIRE")), Key()],
        3 => [Case(OneOf("SETEX", "GETRANGE")), Key(), "1"],
        _ => [Case(OneOf("MGET", "MSET", "DEL", "EXISTS"))],
    };

    private object Key() => _random.Next(12) switch
    {
        0 => Array.Empty<byte>(),
        1 => new byte[] { 0, 255, 13, 10 },
        var index => $"key{index}",
    };

    private object[] Keys() => [.. Enumerable.Range(0, _random.Next(1, 5)).Select(_ => Key())];

    private object Value()
    {
        var value = new byte[_random.Next(6) switch { 0 => 0, 1 => _random.Next(14_000, 40_000), 2 => 44 + _random.Next(2), _ => _random.Next(30) }];
        _random.NextBytes(value);
        return _random.Next(4) == 0 ? _random.NextInt64().ToString(CultureInfo.InvariantCulture) : value;
    }

    private string Duration() => _random.Next(12) switch
    {
        0 => "0",
        1 => "-5",
        2 => "abc",
        3 => "9223372036854775807",
        4 => "9223372036854775",
        5 => " 5",
        // No two alike and none that ends during the run, in milliseconds either: GT and LT would compare what two servers were told at different moments.
        _ => (_random.Next(1, 1_000_000) * 1_000_000L).ToString(CultureInfo.InvariantCulture),
    };

    private string Moment() => _random.Next(8) switch
    {
        0 => "1",
        1 => "-1",
        2 => "x",
        3 => "9223372036854775807",
        _ => FutureMoment(),
    };

    /// <summary>In seconds; in milliseconds it is of 1970, unless it is long.</summary>
    private string FutureMoment() => (4_000_000_000_000 + (_random.Next(9) * 100_000L)).ToString(CultureInfo.InvariantCulture);

    private string Offset() => _random.Next(8) switch
    {
        0 => "x",
        1 => "9223372036854775807",
        2 => "-9223372036854775808",
        _ => _random.Next(-40, 40).ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>Names and options mean the same in any case.</summary>
    private string Case(string word) => _random.Next(3) switch
    {
        0 => word.ToLowerInvariant(),
        1 => new StringBuilder(word) { [0] = char.ToLowerInvariant(word[0]) }.ToString(),
        _ => word,
    };

    private string OneOf(params string[] words) => words[_random.Next(words.Length)];
}
