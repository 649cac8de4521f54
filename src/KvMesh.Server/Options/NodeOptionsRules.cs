using System.ComponentModel.DataAnnotations;
using System.Net;
using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using KvMesh.Engine.Blocks;
using KvMesh.Engine.Disk;
using KvMesh.Gateway.Access;
using KvMesh.Gateway.Resp;
using KvMesh.Protocol;
using KvMesh.Server.Mesh;

namespace KvMesh.Server.Options;

/// <summary>Which options describe a node that can start. Every rule speaks, so that all mistakes are seen at once.</summary>
internal static class NodeOptionsRules
{
    /// <summary>sockaddr_un holds 108 bytes, one of them the end.</summary>
    private const int MaxUnixPathBytes = 107;

    public static List<string> Check(NodeOptions options)
    {
        var errors = new List<string>();
        foreach (var (name, property, owner) in OptionBinder.Leaves(options))
        {
            CheckAlone(name, property, property.GetValue(owner), errors);
        }

        CheckAddresses(options, errors);
        CheckPorts(options, errors);
        CheckThreads(options, errors);
        CheckFiles(options, errors);
        CheckTenants(options, errors);
        CheckEngine(options, errors);
        CheckDisk(options.Engine.Disk, errors);
        CheckPatterns(options.Resp.Rules, errors);
        errors.AddRange(CodecOptionsRules.Check(options));
        errors.AddRange(MeshOptionsRules.Check(options));
        return errors;
    }

    /// <summary>The address to bind, or null when the text is none.</summary>
    public static IPAddress? AddressOf(string text) =>
        text.Equals("localhost", StringComparison.OrdinalIgnoreCase) ? IPAddress.Loopback : IPAddress.TryParse(text, out var address) ? address : null;

    private static void CheckAlone(string name, PropertyInfo property, object? value, List<string> errors)
    {
        if (value is TimeSpan time && time < TimeSpan.Zero)
        {
            errors.Add($"{name} is {OptionValues.Format(time)}; it must not be negative.");
            return;
        }

        foreach (var rule in property.GetCustomAttributes<ValidationAttribute>())
        {
            if (!rule.IsValid(value))
            {
                errors.Add($"{name} is \"{OptionValues.Format(value)}\"; it must be {Wanted(rule)}.");
            }
        }
    }

    private static string Wanted(ValidationAttribute rule) => rule switch
    {
        RangeAttribute range => $"{OptionValues.Format(range.Minimum)} to {OptionValues.Format(range.Maximum)}",
        RequiredAttribute => "given",
        MaxLengthAttribute length => $"at most {length.Length} characters long",
        _ => rule.FormatErrorMessage("value"),
    };

    private static IEnumerable<(string Name, string Address, int Port)> Listeners(NodeOptions options)
    {
        yield return ("Http", options.Http.Address, options.Http.Port);
        if (options.Native.Enabled)
        {
            yield return ("Native", options.Native.Address, options.Native.Port);
        }

        if (options.Resp.Enabled)
        {
            yield return ("Resp", options.Resp.Address, options.Resp.Port);
        }
    }

    private static void CheckAddresses(NodeOptions options, List<string> errors)
    {
        foreach (var (name, text, _) in Listeners(options))
        {
            if (AddressOf(text) is not { } address)
            {
                errors.Add($"{name}:Address is \"{text}\"; it must be an IP address or localhost.");
            }
            else if (!IPAddress.IsLoopback(address) && options.Access.TokenFile.Length == 0 && !options.Insecure)
            {
                errors.Add(
                    $"{name}:Address is {text}, which other machines reach, and there are no credentials: "
                    + "set Access:TokenFile, or allow everyone everything with --insecure.");
            }
        }
    }

    private static void CheckPorts(NodeOptions options, List<string> errors)
    {
        var shared = Listeners(options)
            .Where(listener => listener.Port != 0)
            .GroupBy(listener => listener.Port)
            .Where(group => group.Count() > 1);
        foreach (var group in shared)
        {
            errors.Add($"{string.Join(" and ", group.Select(listener => listener.Name + ":Port"))} are both {group.Key}; each needs a port of its own.");
        }
    }

    private static void CheckThreads(NodeOptions options, List<string> errors)
    {
        if (options.Native.MaxWatchers >= options.Net.MaxWorkers)
        {
            errors.Add(
                $"Native:MaxWatchers is {options.Native.MaxWatchers}, and Net:MaxWorkers {options.Net.MaxWorkers}; "
                + "each watcher holds a worker, so there must be more workers than watchers.");
        }
    }

    private static void CheckFiles(NodeOptions options, List<string> errors)
    {
        if (File.Exists(options.DataDirectory))
        {
            errors.Add($"DataDirectory is {options.DataDirectory}, which is a file; it must be a folder.");
        }

        var pathBytes = Encoding.UTF8.GetByteCount(options.Unix.Path);
        if (options.Unix.Enabled && pathBytes > MaxUnixPathBytes)
        {
            errors.Add($"Unix:Path is {options.Unix.Path}, {pathBytes} bytes long; the limit is {MaxUnixPathBytes}. Set a shorter one.");
        }

        if (options.Telemetry.OtlpEndpoint.Length > 0
            && !(Uri.TryCreate(options.Telemetry.OtlpEndpoint, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"))
        {
            errors.Add($"Telemetry:OtlpEndpoint is \"{options.Telemetry.OtlpEndpoint}\"; it must be an http or https address.");
        }

        if (options.Telemetry.OtlpInterval < TimeSpan.FromSeconds(1))
        {
            errors.Add($"Telemetry:OtlpInterval is {OptionValues.Format(options.Telemetry.OtlpInterval)}; it must be at least 1s.");
        }

        if (options.Access.TokenFile.Length > 0)
        {
            try
            {
                TokenFile.Read(options.Access.TokenFile);
            }
            catch (TokenFileException exception)
            {
                errors.Add($"Access:TokenFile is {options.Access.TokenFile}: {exception.Message}");
            }
        }
    }

    private static void CheckTenants(NodeOptions options, List<string> errors)
    {
        var tenants = options.Engine.Tenants;
        foreach (var tenant in tenants.Where(tenant => Encoding.UTF8.GetByteCount(tenant.Name) > Limits.MaxTenantBytes))
        {
            errors.Add($"Engine:Tenants names \"{tenant.Name}\"; a name has at most {Limits.MaxTenantBytes} bytes.");
        }

        foreach (var group in tenants.GroupBy(tenant => tenant.Name).Where(group => group.Count() > 1))
        {
            errors.Add($"Engine:Tenants names \"{group.Key}\" {group.Count()} times; once is the limit.");
        }

        if (tenants.Sum(tenant => tenant.Share) > 1 + 1e-9)
        {
            errors.Add($"Engine:Tenants have shares of {tenants.Sum(tenant => tenant.Share)} together; the limit is 1.");
        }

        if (tenants.Count > 0 && options.Access.TokenFile.Length == 0 && tenants.All(tenant => tenant.Name != Tenant.DefaultName))
        {
            errors.Add($"Engine:Tenants does not name \"{Tenant.DefaultName}\", to whom connections without credentials belong; add it, or set Access:TokenFile.");
        }
    }

    private static void CheckDisk(DiskOptions disk, List<string> errors)
    {
        if (disk.CapacityBytes > 0)
        {
            errors.AddRange(disk.Validate());
        }
        else if (disk.CapacityBytes < 0)
        {
            errors.Add($"Engine:Disk:CapacityBytes is {disk.CapacityBytes}; it must be 0, which switches the disk tier off, or more.");
        }
    }

    private static void CheckPatterns(RespOptions rules, List<string> errors)
    {
        foreach (var pattern in rules.ContentKeyPatterns.Where(pattern => pattern != RespOptions.LmcachePattern))
        {
            try
            {
                _ = new Regex(pattern);
            }
            catch (ArgumentException exception)
            {
                errors.Add($"Resp:Rules:ContentKeyPatterns has \"{pattern}\"; it must be a regular expression or {RespOptions.LmcachePattern}: {exception.Message}");
            }
        }
    }

    private static void CheckEngine(NodeOptions options, List<string> errors)
    {
        var engine = options.Engine;
        if (engine.ConnectionLeaseShare > engine.TenantLeaseShare)
        {
            errors.Add(
                $"Engine:ConnectionLeaseShare is {OptionValues.Format(engine.ConnectionLeaseShare)}, more than "
                + $"Engine:TenantLeaseShare, {OptionValues.Format(engine.TenantLeaseShare)}; a connection cannot hold more than its tenant.");
        }
    }
}
